"""Millrace: one spec takes a table to a tested model that predicts the same everywhere.

Importing this package loads nothing heavy: public names arrive when they are first used (PEP 562).

>>> import millrace
>>> millrace.ROOMS[0], millrace.ROOMS[-1]
('spec', 'serve')
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millrace.flow import Run, init, run
    from millrace.predict import Predictor, open
    from millrace.spec import System, load
    from millrace.verify import Verification, verify

__version__ = "0.1.0"

ROOMS = ("spec", "tables", "split", "events", "features", "models", "train", "evaluate", "bundle", "predict", "serve")
"""The rooms in the order in which data flows; a room imports only rooms before it (and `errors`, `report`)."""

_HOMES = {
    "System": "spec",
    "load": "spec",
    "Run": "flow",
    "init": "flow",
    "run": "flow",
    "Predictor": "predict",
    "open": "predict",
    "Verification": "verify",
    "verify": "verify",
}

__all__ = ["ROOMS", "Predictor", "Run", "System", "Verification", "init", "load", "open", "run", "verify"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'millrace' has no attribute {name!r}")
    from importlib import import_module

    # Every lazy name is bound at once: importing the module `millrace.verify` would otherwise shadow the function.
    value = getattr(import_module(f"millrace.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
