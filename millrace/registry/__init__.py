"""What is live and why: gates, promotion, rollback, and the record of every decision."""

from millrace.registry.decide import decide, decided, history, last_version, promote, rollback, who
from millrace.registry.gates import Result, fairness, judge, latency, not_worse, parity, throughput, told
from millrace.registry.journal import Decision
from millrace.registry.mirror import mirror
from millrace.registry.rival import Rival, beside, champion
from millrace.registry.runs import Listed, compared, listed
from millrace.registry.seen import remember

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
