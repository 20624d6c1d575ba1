"""The registry: which version is live and why; gates, promotion, rollback, every decision."""

from headrace.registry.champion import score_champion
from headrace.registry.compare import Comparison, compare
from headrace.registry.decide import (
    current_user,
    decide,
    find_decision,
    history,
    last_version,
    promote,
    rollback,
)
from headrace.registry.fitted_rows import write_fitted_rows
from headrace.registry.gates import (
    Result,
    fairness,
    judge,
    latency,
    not_worse,
    parity,
    throughput,
)
from headrace.registry.journal import Decision
from headrace.registry.mlflow_sync import sync_mlflow
from headrace.registry.runs import runs
from headrace.registry.steer import (
    RolloutRecord,
    heal_rollout,
    make_plan,
    read_rollout,
    record_decision,
)

__all__ = [
    "Comparison",
    "Decision",
    "Result",
    "RolloutRecord",
    "compare",
    "current_user",
    "decide",
    "fairness",
    "find_decision",
    "heal_rollout",
    "history",
    "judge",
    "last_version",
    "latency",
    "make_plan",
    "not_worse",
    "parity",
    "promote",
    "read_rollout",
    "record_decision",
    "rollback",
    "runs",
    "score_champion",
    "sync_mlflow",
    "throughput",
    "write_fitted_rows",
]
