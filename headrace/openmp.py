"""Loading libraries whose threads wait for each other, so that they do not do so in long busy
loops.

Beside other work on the machine a busy loop holds up the very thread that it waits for: a fit of
LightGBM of 0.3 s was measured to take from 1 s to over 20 s beside another one, and 1 to 1.7 s with
a short loop, which costs nothing on a quiet machine; scikit-learn's histogram trees likewise.
OpenMP reads the length when it is loaded.
"""

import os
from importlib import import_module
from typing import Any

_NAME, _SPINS = "GOMP_SPINCOUNT", "1000"


def load(module: str) -> Any:
    """A module of LightGBM or scikit-learn, loaded with a short waiting loop unless the environment
    states one.

    >>> load("math").pi > 3
    True
    """
    stated = os.environ.get(_NAME)
    os.environ.setdefault(_NAME, _SPINS)
    try:
        return import_module(module)
    finally:
        if stated is None:
            del os.environ[_NAME]
