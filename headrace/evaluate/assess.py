"""All that is told about how good a model is, from predictions of rows that had no part in fitting it."""

from typing import Any

from msgspec import Struct

from headrace.arrays import Floats, Integers
from headrace.evaluate.bands import bands
from headrace.evaluate.bootstrap import intervals
from headrace.evaluate.chance import chance_lift
from headrace.evaluate.curves import curves
from headrace.evaluate.metrics import Measure, higher_is_better, metrics
from headrace.evaluate.thresholds import trade_off
from headrace.spec import DecisionSpec, Goal


class Scored(Struct, frozen=True):
    """Predicted rows: `y (N,)`, `scores (N,)` or `(N, K)`, weights `(N,)`, and whose they are, `owner (N,)`."""

    y: Floats
    scores: Floats
    weight: Floats | None = None
    owner: Integers | None = None


def assess(
    goal: Goal,
    classes: list[Any],
    validation: Scored,
    test: Scored,
    baseline: Floats,
    threshold: float | None,
    seed: int,
) -> dict[str, Any]:
    """Every metric of a (resolved) goal's task by split, test intervals, curves, and what other thresholds would give.

    Parameters: `validation`, the rows that chose the model; `baseline`, the baseline's scores of the test rows;
    `threshold`, where a binary prediction becomes a yes (half where there is none).
    """
    assert goal.task is not None and goal.metric is not None
    cut = 0.5 if threshold is None else threshold
    found = {
        "validation": metrics(goal.task, validation.y, validation.scores, validation.weight, cut),
        "test": metrics(goal.task, test.y, test.scores, test.weight, cut),
        "baseline": metrics(goal.task, test.y, baseline, test.weight, cut),
    }
    if "average_precision" in found["baseline"]:  # whoever looks at nothing orders rows at random
        found["baseline"]["average_precision"] += chance_lift(test.y)
    order = dict.fromkeys([goal.metric, *goal.secondary, *found["test"]])
    found = {name: {metric: values[metric] for metric in order} for name, values in found.items()}
    metric: dict[str, Any] = {"name": goal.metric, "higher_is_better": higher_is_better(goal.metric)}
    told: dict[str, Any] = {
        "metric": metric | {name: values[goal.metric] for name, values in found.items()},
        "metrics": found,
        "intervals": intervals(Measure(goal.task, test.y, test.scores, None, cut), test.weight, test.owner, seed),
        "curves": curves(goal.task, test.y, test.scores, classes, cut),
        "threshold": threshold,
    }
    told["bands"] = bands(test.y, test.scores, test.owner, seed) if goal.task == "binary" else {}
    if goal.task == "binary":
        decision = goal.decision or DecisionSpec()
        told["thresholds"] = trade_off(validation.y, validation.scores, decision, validation.weight)
    return told
