"""Arrays in, numbers out: how good predictions are."""

from headrace.evaluate.assess import Assessment, DecidingMetric, assess
from headrace.evaluate.bootstrap import compute_paired_interval
from headrace.evaluate.chance import average_precision_by_chance, chance_probability
from headrace.evaluate.curves import Curves, curves
from headrace.evaluate.fairness import LEAST_ROWS, Treated, compare_groups
from headrace.evaluate.importance import draw_for_importances, importances
from headrace.evaluate.measure import (
    Measure,
    compute_metric,
    compute_metrics,
    cost,
    higher_is_better,
    is_better,
)
from headrace.evaluate.objective import MetricObjective, make_objective
from headrace.evaluate.pair import ModelPair
from headrace.evaluate.predictions import Predictions
from headrace.evaluate.queries import QueryReport, report_queries
from headrace.evaluate.slices import WeakSlice, find_weak_slices
from headrace.evaluate.thresholds import pick_threshold

__all__ = [
    "LEAST_ROWS",
    "Assessment",
    "Curves",
    "DecidingMetric",
    "Measure",
    "MetricObjective",
    "ModelPair",
    "Predictions",
    "QueryReport",
    "Treated",
    "WeakSlice",
    "assess",
    "average_precision_by_chance",
    "chance_probability",
    "compare_groups",
    "compute_metric",
    "compute_metrics",
    "compute_paired_interval",
    "cost",
    "curves",
    "draw_for_importances",
    "find_weak_slices",
    "higher_is_better",
    "importances",
    "is_better",
    "make_objective",
    "pick_threshold",
    "report_queries",
]
