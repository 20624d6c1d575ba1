"""What is live and why: gates, promotion, rollback, and the record of every decision."""

from headrace.registry.champion import Rival, beside, champion
from headrace.registry.decide import decide, decided, history, last_version, promote, rollback, who
from headrace.registry.fitted_rows import remember
from headrace.registry.gates import Result, fairness, judge, latency, not_worse, parity, throughput, told
from headrace.registry.journal import Decision
from headrace.registry.mlflow_sync import mirror
from headrace.registry.runs import Listed, compared, listed

__all__ = [
    "Decision",
    "Listed",
    "Result",
    "Rival",
    "beside",
    "champion",
    "compared",
    "decide",
    "decided",
    "fairness",
    "history",
    "judge",
    "last_version",
    "latency",
    "listed",
    "mirror",
    "not_worse",
    "parity",
    "promote",
    "remember",
    "rollback",
    "throughput",
    "told",
    "who",
]
