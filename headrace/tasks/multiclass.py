"""One of several classes: scores are a probability for each, raw scores their logarithms.

A constant may be added to all raw scores of a row: the softmax does not change.
"""

from typing import Any

import numpy as np
import polars as pl

from headrace.arrays import Floats, Mask
from headrace.errors import InputError
from headrace.spec import Treatment
from headrace.tasks.classes import EDGE, clip_inside, label_constant

HAS_CLASSES = True
SCORE_EACH_CLASS = True
HAS_EVENT = False
HAS_QUERIES = False
SCORES = "probabilities"
CALIBRATIONS: tuple[str, ...] = ("sigmoid",)
TREATMENTS: tuple[Treatment, ...] = ("accuracy",)
LEAK_SHARE = 0.6
LIGHTGBM_OBJECTIVE = "multiclass"
MAX_CLASSES = 1_000


def check_target(values: pl.Series, distinct: int, where: str) -> None:
    """See `TaskKind`."""
    # Numbers of classes may come in a column of floats.
    if values.dtype.is_float() and not (values == values.round()).all():
        raise InputError(
            where, "numbers with fractions", "class names or whole numbers for task multiclass"
        )
    if distinct > MAX_CLASSES:
        raise InputError(where, f"{distinct} different values", f"at most {MAX_CLASSES} classes")


def infer_metric(values: pl.Series, positive: Any) -> tuple[Any, str]:
    """See `TaskKind`."""
    return "log_loss", "judges the probability of every class, not the label alone"


def width(classes: int) -> int:
    """See `TaskKind`."""
    return classes


def to_scores(raw: Floats) -> Floats:
    """See `TaskKind`."""
    from scipy.special import softmax

    return np.asarray(softmax(raw, axis=1))


def to_raw(scores: Floats) -> Floats:
    """See `TaskKind`."""
    return np.log(clip_inside(scores))


def link(graph: Any, raw: str) -> str:
    """See `TaskKind`."""
    node: str = graph.node("Softmax", raw, axis=1)
    return node


def unlink(graph: Any, scores: str) -> str:
    """See `TaskKind`."""
    low = graph.constant(EDGE, np.float64)
    high = graph.constant(1 - EDGE, np.float64)
    node: str = graph.node("Log", graph.node("Min", graph.node("Max", scores, low), high))
    return node


def outputs(
    graph: Any, scores: str, classes: list[Any], threshold: float | None
) -> dict[str, tuple[str, Any, int | None]]:
    """See `TaskKind`."""
    labels, dtype = label_constant(graph, classes)
    best = graph.node("ArgMax", scores, axis=1, keepdims=1)
    return {
        graph.node("Gather", labels, best): ("prediction", dtype, 1),
        scores: ("probabilities", np.float32, len(classes)),
    }


def decide(scores: Floats, threshold: float) -> Floats:
    """See `TaskKind`."""
    return np.asarray(scores.argmax(axis=1), np.float64)


def treatments(y: Floats, scores: Floats, threshold: float) -> dict[Treatment, tuple[Floats, Mask]]:
    """See `TaskKind`."""
    hits = (decide(scores, threshold) == y).astype(np.float64)
    return {"accuracy": (hits, np.ones(len(y), dtype=bool))}


def shift_of_shares(by_class: Floats) -> Floats:
    """See `TaskKind`."""
    return np.log(by_class)


def target_outputs(y: Floats, classes: int) -> Floats:
    """See `TaskKind`."""
    return np.asarray(np.eye(classes)[y.astype(np.int64)])


def rarer_rows(y: Floats) -> int | None:
    """See `TaskKind`."""
    return None


def scale(y: Floats) -> float:
    """See `TaskKind`."""
    return 1.0
