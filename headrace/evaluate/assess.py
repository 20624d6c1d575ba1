"""All that is said about how good a model is, from predictions of rows that had no part in fitting it."""

from typing import Any

from msgspec import Struct

from headrace.evaluate.bands import bands
from headrace.evaluate.bootstrap import intervals
from headrace.evaluate.chance import chance_lift
from headrace.evaluate.curves import Curves, curves
from headrace.evaluate.measure import compute_metrics, higher_is_better
from headrace.evaluate.pair import ModelPair
from headrace.evaluate.predictions import Predictions
from headrace.evaluate.thresholds import trade_off
from headrace.spec import DecisionSpec, Goal


class DecidingMetric(Struct, frozen=True):
    """The metric that decides, by split; and the baseline's on the test rows."""

    name: str
    higher_is_better: bool
    validation: float
    test: float
    baseline: float


class Assessment(Struct, frozen=True):
    """Every metric of a goal's task by split, test intervals, and curves with their bands.

    `thresholds` tells what others would give on the rows that chose the model; None where the task
    decides nothing.
    """

    metric: DecidingMetric
    metrics: dict[str, dict[str, float]]
    intervals: dict[str, list[float]]
    curves: Curves
    bands: dict[str, list[list[float]]]
    threshold: float | None
    thresholds: list[dict[str, float]] | None


def assess(goal: Goal, classes: list[Any], validation: Predictions, test: ModelPair) -> Assessment:
    """Assesses predictions by a (resolved) goal.

    Parameters: `validation`, the rows that chose the model; `test`, the model and the baseline on
    the test rows.
    """
    assert goal.metric is not None
    values = {
        "validation": compute_metrics(validation),
        "test": compute_metrics(test.new),
        "baseline": compute_metrics(test.other),
    }
    if "average_precision" in values["baseline"]:  # whoever looks at nothing orders rows at random
        values["baseline"]["average_precision"] += chance_lift(test.new.y)
    order = dict.fromkeys([goal.metric, *goal.secondary, *values["test"]])
    metrics = {name: {metric: found[metric] for metric in order} for name, found in values.items()}

    has_event = test.new.kind.HAS_EVENT
    return Assessment(
        metric=DecidingMetric(
            name=goal.metric,
            higher_is_better=higher_is_better(goal.metric),
            validation=values["validation"][goal.metric],
            test=values["test"][goal.metric],
            baseline=values["baseline"][goal.metric],
        ),
        metrics=metrics,
        intervals=intervals(test.new, seed=test.seed),
        curves=curves(test.new, len(classes)),
        bands=bands(test.new, test.seed) if has_event else {},
        threshold=test.new.threshold,
        thresholds=trade_off(validation, goal.decision or DecisionSpec()) if has_event else None,
    )
