"""The metrics, one row each. `evaluate/metrics/NAME.py` holds the formula.

A new metric is a row here and a file there.
"""

from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct

Task = Literal["binary", "multiclass", "regression"]
TASK_NAMES: tuple[Task, ...] = get_args(Task)


class MetricRow(Struct, frozen=True):
    """A metric's tasks, its best direction, its label for people, its unit, and when to use it.

    A `direction` of `one` means that the metric is best at 1; gates treat it as `higher`.
    """

    tasks: tuple[Task, ...]
    direction: Literal["higher", "lower", "one"]
    label: str
    unit: str
    when: str


_BINARY: tuple[Task, ...] = ("binary",)
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_MULTICLASS: tuple[Task, ...] = ("multiclass",)
_NUMBERS: tuple[Task, ...] = ("regression",)
METRICS: dict[str, MetricRow] = {
    "roc_auc": MetricRow(
        _BINARY,
        "higher",
        "ROC AUC",
        "share of pairs",
        "the order of all rows counts, and neither class is rare",
    ),
    "average_precision": MetricRow(
        _BINARY,
        "higher",
        "average precision",
        "share",
        "events are rare, and the head of the ranking counts",
    ),
    "log_loss": MetricRow(
        _CLASSES, "lower", "log loss", "nats", "the probabilities themselves are used"
    ),
    "normalized_entropy": MetricRow(
        _BINARY,
        "lower",
        "normalized entropy",
        "of the baseline's log loss",
        "log losses of other base rates are compared",
    ),
    "brier": MetricRow(
        _BINARY,
        "lower",
        "Brier score",
        "squared probability",
        "as log loss, but more forgiving of confident mistakes",
    ),
    "calibration_error": MetricRow(
        _BINARY,
        "lower",
        "calibration error",
        "probability",
        "probabilities must come true at every level",
    ),
    "calibration_ratio": MetricRow(
        _BINARY,
        "one",
        "calibration ratio",
        "predicted events for each one",
        "the total must come true, as with bids",
    ),
    "precision": MetricRow(
        _BINARY, "higher", "precision", "share of yeses", "a false alarm is what costs"
    ),
    "recall": MetricRow(_BINARY, "higher", "recall", "share of events", "a miss is what costs"),
    "f1": MetricRow(
        _BINARY, "higher", "F1", "share", "false alarms and misses cost about the same"
    ),
    "accuracy": MetricRow(
        _CLASSES,
        "higher",
        "accuracy",
        "share of rows",
        "classes are balanced, and mistakes cost the same",
    ),
    "balanced_accuracy": MetricRow(
        _BINARY,
        "higher",
        "balanced accuracy",
        "share of rows",
        "both classes count the same, however rare one is",
    ),
    "macro_f1": MetricRow(
        _MULTICLASS, "higher", "macro F1", "share", "every class counts the same, however rare"
    ),
    "weighted_f1": MetricRow(
        _MULTICLASS, "higher", "weighted F1", "share", "classes count by their rows"
    ),
    "top_3_accuracy": MetricRow(
        _MULTICLASS,
        "higher",
        "top-3 accuracy",
        "share of rows",
        "a person chooses among the first three",
    ),
    "rmse": MetricRow(
        _NUMBERS, "lower", "RMSE", "of the target", "large errors cost more than their share"
    ),
    "mae": MetricRow(
        _NUMBERS, "lower", "MAE", "of the target", "an error costs in proportion to its size"
    ),
    "mape": MetricRow(
        _NUMBERS,
        "lower",
        "MAPE",
        "share of the target",
        "errors count relative to a target far from 0",
    ),
    "r2": MetricRow(
        _NUMBERS,
        "higher",
        "R²",
        "share of the variance",
        "targets of different scales are compared",
    ),
    "pinball_10": MetricRow(
        _NUMBERS, "lower", "pinball loss, 10 %", "of the target", "the low end is predicted"
    ),
    "pinball_90": MetricRow(
        _NUMBERS, "lower", "pinball loss, 90 %", "of the target", "the high end is predicted"
    ),
}
"""The metrics of a task are shown in this order, and the first of them is its default."""

# mypy cannot read a `Literal` that is built at run time
if TYPE_CHECKING:
    Metric = str
else:
    Metric = Literal[tuple(METRICS)]


def list_metrics(task: Task) -> tuple[str, ...]:
    """Return the names of a task's metrics, its default first.

    >>> list_metrics("multiclass")[0]
    'log_loss'
    """
    return tuple(name for name, row in METRICS.items() if task in row.tasks)


def is_lower_better(metric: str) -> bool:
    """Say whether a smaller value of a metric is better.

    >>> is_lower_better("rmse"), is_lower_better("calibration_ratio")
    (True, False)
    """
    return METRICS[metric].direction == "lower"
