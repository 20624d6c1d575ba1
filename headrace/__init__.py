"""Headrace: one spec takes a table to a tested model that predicts the same everywhere.

Importing this package loads nothing heavy: public names arrive when they are first used (PEP 562).

>>> import headrace
>>> headrace.ROOMS[0], headrace.ROOMS[-1]
('spec', 'loop')
"""

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from headrace._version import __version__ as __version__

if TYPE_CHECKING:
    from headrace.design.init import init
    from headrace.flow import explore, fit, run
    from headrace.log import repair_log
    from headrace.loop.by_hand import start_rollout, status, steer_rollout
    from headrace.loop.feedback import feed_back
    from headrace.loop.page import write_page
    from headrace.plain import Ejected, eject
    from headrace.predict import Predictor, open
    from headrace.registry import Decision, history, promote, rollback
    from headrace.registry.catalogue import Feature, catalogue
    from headrace.registry.compare import Comparison, compare
    from headrace.registry.migrate import migrate
    from headrace.registry.runs import find_report, runs
    from headrace.run.cache import clean
    from headrace.run.exploration import Exploration
    from headrace.run.record import Run
    from headrace.spec import System, load
    from headrace.store.materialize import Materialized, materialize
    from headrace.store.push import push
    from headrace.store.window_features import window_features
    from headrace.verify import Verification, verify

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
"""Without this, set before its first import, ONNX Runtime's wheel reports to its maker."""

ROOMS = (
    "spec", "tasks", "tables", "design", "explore", "split", "log", "outcomes", "windows",
    "store", "features", "models", "train", "evaluate", "bundle", "predict", "rollout", "registry",
    "run", "plain", "serve", "loop",
)  # fmt: skip
"""The rooms in the order in which data flows. A room imports only rooms before it, and leaves."""

_HOMES = {
    "System": "spec",
    "load": "spec",
    "Exploration": "run.exploration",
    "Run": "run.record",
    "clean": "run.cache",
    "Ejected": "plain",
    "eject": "plain",
    "explore": "flow",
    "feed_back": "loop.feedback",
    "fit": "flow",
    "Feature": "registry.catalogue",
    "catalogue": "registry.catalogue",
    "init": "design.init",
    "Materialized": "store.materialize",
    "materialize": "store.materialize",
    "push": "store.push",
    "repair_log": "log",
    "window_features": "store.window_features",
    "write_page": "loop.page",
    "migrate": "registry.migrate",
    "run": "flow",
    "Predictor": "predict",
    "open": "predict",
    "Verification": "verify",
    "verify": "verify",
    "Comparison": "registry.compare",
    "compare": "registry.compare",
    "find_report": "registry.runs",
    "runs": "registry.runs",
    "start_rollout": "loop.by_hand",
    "status": "loop.by_hand",
    "steer_rollout": "loop.by_hand",
    "Decision": "registry",
    "history": "registry",
    "promote": "registry",
    "rollback": "registry",
}

__all__ = [
    "ROOMS",
    "Comparison",
    "Decision",
    "Ejected",
    "Exploration",
    "Feature",
    "Materialized",
    "Predictor",
    "Run",
    "System",
    "Verification",
    "catalogue",
    "clean",
    "compare",
    "eject",
    "explore",
    "feed_back",
    "find_report",
    "fit",
    "history",
    "init",
    "load",
    "materialize",
    "migrate",
    "open",
    "promote",
    "push",
    "repair_log",
    "rollback",
    "run",
    "runs",
    "start_rollout",
    "status",
    "steer_rollout",
    "verify",
    "window_features",
    "write_page",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"headrace.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """A module whose public functions survive the import of a submodule of the same name.

    Importing `headrace.verify` would otherwise bind the module to the name of the function.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
