"""A yes or a no: scores are probabilities of the positive class, raw scores their log odds."""

from typing import Any

import numpy as np
import polars as pl

from headrace.arrays import Floats, Mask
from headrace.errors import InputError
from headrace.spec import Treatment
from headrace.tasks.classes import EDGE, clip_inside, label_constant

HAS_CLASSES = True
SCORE_EACH_CLASS = False
HAS_EVENT = True
HAS_QUERIES = False
SCORES = "prediction"
CALIBRATIONS: tuple[str, ...] = ("sigmoid", "isotonic")
TREATMENTS: tuple[Treatment, ...] = (
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "accuracy",
)
LEAK_SHARE = 0.6
LIGHTGBM_OBJECTIVE = "binary"
_RARE_SHARE = 0.05


def check_target(values: pl.Series, distinct: int, where: str) -> None:
    """See `TaskKind`."""
    if distinct != 2:
        raise InputError(
            where,
            f"{distinct} different values",
            "two for task binary",
            "or set goal.task: multiclass",
        )


def infer_metric(values: pl.Series, positive: Any) -> tuple[Any, str]:
    """See `TaskKind`."""
    rate = (values == positive).sum() / len(values)
    if rate < _RARE_SHARE:
        reason = f"only {rate:.2%} of the rows are positive, so the ranking's head counts"
        return "average_precision", reason
    return "roc_auc", f"{rate:.1%} of the rows are positive: neither class is rare"


def width(classes: int) -> int:
    """See `TaskKind`."""
    return 1


def to_scores(raw: Floats) -> Floats:
    """See `TaskKind`."""
    from scipy.special import expit

    return np.asarray(expit(raw))


def to_raw(scores: Floats) -> Floats:
    """See `TaskKind`."""
    inside = clip_inside(scores)
    # `log1p` keeps the digits of small probabilities.
    return np.log(inside) - np.log1p(-inside)


def link(graph: Any, raw: str) -> str:
    """See `TaskKind`."""
    node: str = graph.node("Sigmoid", raw)
    return node


def unlink(graph: Any, scores: str) -> str:
    """See `TaskKind`."""
    low = graph.constant(EDGE, np.float64)
    high = graph.constant(1 - EDGE, np.float64)
    inside = graph.node("Min", graph.node("Max", scores, low), high)

    log = graph.node("Log", inside)
    complement = graph.node("Sub", graph.constant(1.0, np.float64), inside)
    node: str = graph.node("Sub", log, graph.node("Log", complement))
    return node


def outputs(
    graph: Any, scores: str, classes: list[Any], threshold: float | None
) -> dict[str, tuple[str, Any, int | None]]:
    """See `TaskKind`."""
    labels, dtype = label_constant(graph, classes)
    tensors: dict[str, tuple[str, Any, int | None]] = {scores: ("prediction", np.float32, 1)}
    if threshold is not None:
        above = graph.node("GreaterOrEqual", scores, graph.constant(threshold, np.float32))
        # Type 7 is int64: false picks the first label, and true the second.
        label = graph.node("Gather", labels, graph.node("Cast", above, to=7))
        tensors[label] = ("decision", dtype, 1)
    return tensors


def decide(scores: Floats, threshold: float) -> Floats:
    """See `TaskKind`."""
    return np.asarray(scores >= threshold, np.float64)


def treatments(y: Floats, scores: Floats, threshold: float) -> dict[Treatment, tuple[Floats, Mask]]:
    """See `TaskKind`."""
    selected = decide(scores, threshold)
    all_rows = np.ones(len(y), dtype=bool)
    return {
        "selection_rate": (selected, all_rows),
        "true_positive_rate": (selected, y == 1),
        "false_positive_rate": (selected, y == 0),
        "accuracy": ((selected == y).astype(np.float64), all_rows),
    }


def shift_of_shares(by_class: Floats) -> Floats:
    """See `TaskKind`."""
    return np.array([np.log(by_class[1] / by_class[0])])


def target_outputs(y: Floats, classes: int) -> Floats:
    """See `TaskKind`."""
    return y[:, None]


def rarer_rows(y: Floats) -> int | None:
    """See `TaskKind`."""
    return int(min(y.sum(), (1 - y).sum()))


def scale(y: Floats) -> float:
    """See `TaskKind`."""
    return 1.0
