"""Arrays in, numbers out: how good predictions are."""

from headrace.evaluate.assess import Scored, assess
from headrace.evaluate.bootstrap import paired_interval
from headrace.evaluate.chance import average_precision_by_chance, chance_lift, chance_probability
from headrace.evaluate.curves import curves
from headrace.evaluate.fairness import LEAST_ROWS, TREATMENTS, treatment
from headrace.evaluate.importance import importances, rows_for_importances
from headrace.evaluate.judge import MetricObjective, make_objective
from headrace.evaluate.metrics import Measure, better, cost, higher_is_better, metrics
from headrace.evaluate.slices import weak_slices
from headrace.evaluate.thresholds import pick_threshold

__all__ = [
    "LEAST_ROWS",
    "TREATMENTS",
    "Measure",
    "MetricObjective",
    "Scored",
    "assess",
    "average_precision_by_chance",
    "better",
    "chance_lift",
    "chance_probability",
    "cost",
    "curves",
    "higher_is_better",
    "importances",
    "make_objective",
    "metrics",
    "paired_interval",
    "pick_threshold",
    "rows_for_importances",
    "treatment",
    "weak_slices",
]
