"""The whole judgement of a model, from predictions of rows that had no part in fitting it."""

from collections.abc import Iterable
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

    `threshold` is the one in force. `thresholds` is a table of alternatives, computed on the rows
    that chose the model; None where the task decides nothing.
    """

    metric: DecidingMetric
    metrics: dict[str, dict[str, float]]
    intervals: dict[str, list[float]]
    curves: Curves
    bands: dict[str, list[list[float]]]
    threshold: float | None
    thresholds: list[dict[str, float]] | None


def assess(
    goal: Goal,
    classes: list[Any],
    validation: Predictions,
    test: ModelPair,
    further: Iterable[str] = (),
) -> Assessment:
    """Assess predictions by a resolved goal.

    Parameters: `validation`, the rows that chose the model; `test`, the model and the baseline on
    the test rows; `further` metrics beside those of the goal and of its task.
    """
    assert goal.metric is not None
    named = [goal.metric, *goal.secondary]
    values = _metrics_by_split(validation, test, [*named, *further])
    order = dict.fromkeys([*named, *values["test"]])
    has_event = test.new.kind.HAS_EVENT

    return Assessment(
        metric=DecidingMetric(
            name=goal.metric,
            higher_is_better=higher_is_better(goal.metric),
            validation=values["validation"][goal.metric],
            test=values["test"][goal.metric],
            baseline=values["baseline"][goal.metric],
        ),
        metrics={split: _sort(metrics, order) for split, metrics in values.items()},
        intervals=intervals(test.new, list(order), test.seed),
        curves=curves(test.new, len(classes), goal.metric),
        bands=bands(test.new, test.seed) if has_event else {},
        threshold=test.new.threshold,
        thresholds=trade_off(validation, goal.decision or DecisionSpec()) if has_event else None,
    )


def _metrics_by_split(
    validation: Predictions, test: ModelPair, further: list[str]
) -> dict[str, dict[str, float]]:
    values = {
        "validation": compute_metrics(validation, further),
        "test": compute_metrics(test.new, further),
        "baseline": compute_metrics(test.other, further),
    }
    # The baseline gives every row the same score. The honest comparison is a random order.
    if "average_precision" in values["baseline"]:
        values["baseline"]["average_precision"] += chance_lift(test.new.y)
    return values


def _sort(metrics: dict[str, float], order: Iterable[str]) -> dict[str, float]:
    return {name: metrics[name] for name in order}
