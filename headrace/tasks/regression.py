"""A number: the score and the raw score are the value itself."""

from typing import Any

import numpy as np
import polars as pl

from headrace.arrays import Floats, Mask
from headrace.errors import InputError
from headrace.spec import Treatment

HAS_CLASSES = False
SCORE_EACH_CLASS = False
HAS_EVENT = False
HAS_QUERIES = False
SCORES = "prediction"
CALIBRATIONS: tuple[str, ...] = ()
TREATMENTS: tuple[Treatment, ...] = ("mean_error", "mean_absolute_error")
LEAK_SHARE = 0.985
LIGHTGBM_OBJECTIVE = "regression"


def check_target(values: pl.Series, distinct: int, where: str) -> None:
    """See `TaskKind`."""
    if not values.dtype.is_numeric():
        raise InputError(where, f"values such as {values[0]!r}", "numbers for task regression")
    if not values.cast(pl.Float64).is_finite().all():
        raise InputError(where, "infinite values or NaN", "finite numbers for task regression")


def infer_metric(values: pl.Series, positive: Any) -> tuple[Any, str]:
    """See `TaskKind`."""
    return "rmse", "the usual loss of a mean, in the target's own unit"


def width(classes: int) -> int:
    """See `TaskKind`."""
    return 1


def to_scores(raw: Floats) -> Floats:
    """See `TaskKind`."""
    return raw


def to_raw(scores: Floats) -> Floats:
    """See `TaskKind`."""
    return scores


def link(graph: Any, raw: str) -> str:
    """See `TaskKind`."""
    return raw


def unlink(graph: Any, scores: str) -> str:
    """See `TaskKind`."""
    return scores


def outputs(
    graph: Any, scores: str, classes: list[Any], threshold: float | None
) -> dict[str, tuple[str, Any, int | None]]:
    """See `TaskKind`. Values stay float64: a large target keeps its digits."""
    return {scores: ("prediction", np.float64, 1)}


def decide(scores: Floats, threshold: float) -> Floats:
    """See `TaskKind`."""
    return scores


def treatments(y: Floats, scores: Floats, threshold: float) -> dict[Treatment, tuple[Floats, Mask]]:
    """See `TaskKind`."""
    errors = scores - y
    all_rows = np.ones(len(y), dtype=bool)
    return {"mean_error": (errors, all_rows), "mean_absolute_error": (np.abs(errors), all_rows)}


def shift_of_shares(by_class: Floats) -> Floats:
    """See `TaskKind`."""
    return np.zeros(1)


def target_outputs(y: Floats, classes: int) -> Floats:
    """See `TaskKind`."""
    return y[:, None]


def rarer_rows(y: Floats) -> int | None:
    """See `TaskKind`."""
    return None


def scale(y: Floats) -> float:
    """See `TaskKind`."""
    return float(np.std(y)) or 1.0
