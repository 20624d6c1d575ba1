"""The parts of a run, one file a stage: prepare, evaluate, judge, release, record, resume."""

from headrace.run.cache import Cache

__all__ = [
    "Cache",
]
