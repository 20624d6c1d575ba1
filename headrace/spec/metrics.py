"""The metrics, one row each. `evaluate/metrics/NAME.py` holds the formula.

A new metric is a row here and a file there. A metric of a ranking may cut the list, such as
`ndcg_10`: it looks at the first ten rows of each query.
"""

import re
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

Task = Literal["binary", "multiclass", "regression", "ranking"]
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
_LISTS: tuple[Task, ...] = ("ranking",)
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
        ("binary", "ranking"),
        "higher",
        "precision",
        "share of yeses, or of the rows of a list",
        "a false alarm is what costs; of a ranking: the share of the list's rows that are relevant",
    ),
    "recall": MetricRow(
        ("binary", "ranking"),
        "higher",
        "recall",
        "share of events, or of relevant rows",
        "a miss is what costs; of a ranking: the share of a query's relevant rows in the list",
    ),
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
    "ndcg": MetricRow(
        _LISTS, "higher", "NDCG", "of the best order", "grades differ, and the first places count"
    ),
    "map": MetricRow(
        _LISTS, "higher", "MAP", "precision", "every relevant row of a query should be near the top"
    ),
    "mrr": MetricRow(
        _LISTS, "higher", "MRR", "1 / place", "the first relevant row is all that people look for"
    ),
    "hit_rate": MetricRow(
        _LISTS, "higher", "hit rate", "share of queries", "one relevant row in the list is enough"
    ),
}
"""The metrics of a task are shown in this order, and the first of them is its default; those of a
ranking as `_SHOWN_OF_RANKINGS` says."""

_SHOWN_OF_RANKINGS = (
    "ndcg_10", "ndcg_5", "ndcg", "map", "mrr", "recall_10", "precision_10", "hit_rate_10",
)  # fmt: skip
MOST_CUT = 1_000
_CUT = re.compile(r"(ndcg|map|mrr|recall|precision|hit_rate)_([1-9][0-9]{0,2}|1000)")
"""A metric of a ranking that looks at the first rows of a query alone, at most a thousand."""

METRIC_TITLE = "The name of a metric"
Metric = Annotated[str, Meta(pattern=f"^({'|'.join(METRICS)}|{_CUT.pattern})$", title=METRIC_TITLE)]


def split_metric(metric: str) -> tuple[str, int | None]:
    """Split a metric into its formula's name and the place at which it cuts a list, if it does.

    >>> split_metric("ndcg_10"), split_metric("ndcg"), split_metric("pinball_10")
    (('ndcg', 10), ('ndcg', None), ('pinball_10', None))
    """
    match = _CUT.fullmatch(metric)
    return (match[1], int(match[2])) if match else (metric, None)


def find_metric(metric: str) -> MetricRow | None:
    """Return the row of a metric; None for a name that no metric has.

    >>> find_metric("recall_20").label, find_metric("recall_0")
    ('recall', None)
    """
    return METRICS.get(split_metric(metric)[0])


def is_metric(metric: str, task: Task) -> bool:
    """Say whether a metric judges a task.

    >>> is_metric("recall", "binary"), is_metric("recall_10", "binary")
    (True, False)
    """
    row = find_metric(metric)
    cuts = split_metric(metric)[1] is not None
    return row is not None and task in row.tasks and (task == "ranking" or not cuts)


def list_metrics(task: Task) -> tuple[str, ...]:
    """Return the names of the metrics that are shown of a task, its default first.

    >>> list_metrics("multiclass")[0]
    'log_loss'
    """
    if task == "ranking":
        return _SHOWN_OF_RANKINGS
    return tuple(name for name, row in METRICS.items() if task in row.tasks)


def describe_metrics(task: Task | None = None) -> str:
    """List the metrics of a task for a message, or all.

    >>> describe_metrics("ranking")
    'ndcg, map, mrr, recall, precision or hit_rate, alone or with a cut of 1 to 1000, as ndcg_10'
    """
    cut = f"with a cut of 1 to {MOST_CUT}, as ndcg_10"
    if task == "ranking":
        return f"ndcg, map, mrr, recall, precision or hit_rate, alone or {cut}"
    if task is None:
        return "one of: " + ", ".join(METRICS) + f"; those of a ranking also {cut}"
    return "one of: " + ", ".join(list_metrics(task))


def is_lower_better(metric: str) -> bool:
    """Say whether a smaller value of a metric is better.

    >>> is_lower_better("rmse"), is_lower_better("ndcg_10")
    (True, False)
    """
    row = find_metric(metric)
    assert row is not None
    return row.direction == "lower"
