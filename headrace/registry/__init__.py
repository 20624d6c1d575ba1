"""What is live and why: gates, promotion, rollback, and the record of every decision."""

from headrace.registry.champion import ModelPair, compare_curves, score_champion
from headrace.registry.decide import current_user, decide, find_decision, history, last_version, promote, rollback
from headrace.registry.fitted_rows import write_fitted_rows
from headrace.registry.gates import Result, as_dicts, fairness, judge, latency, not_worse, parity, throughput
from headrace.registry.journal import Decision
from headrace.registry.mlflow_sync import sync_mlflow
from headrace.registry.runs import RunSummary, compare_models, list_runs

__all__ = [
    "Decision",
    "ModelPair",
    "Result",
    "RunSummary",
    "as_dicts",
    "compare_curves",
    "compare_models",
    "current_user",
    "decide",
    "fairness",
    "find_decision",
    "history",
    "judge",
    "last_version",
    "latency",
    "list_runs",
    "not_worse",
    "parity",
    "promote",
    "rollback",
    "score_champion",
    "sync_mlflow",
    "throughput",
    "write_fitted_rows",
]
