"""Load libraries on OpenMP so that their threads do not wait for each other in long busy loops.

On a machine with other work, a busy loop holds up the very thread that it waits for. A fit of
LightGBM that takes 0.3 s alone took 1 s to over 20 s while another one ran, and 1 to 1.7 s with a
short loop. The short loop costs nothing on a quiet machine. scikit-learn's histogram trees behave
the same. OpenMP reads the length of the loop when it is loaded.
"""

import os
from importlib import import_module
from typing import Any

_NAME = "GOMP_SPINCOUNT"
_SPINS = "1000"


def load(module: str) -> Any:
    """Import a module of LightGBM or scikit-learn with a short waiting loop.

    A length that the environment states stays.

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
