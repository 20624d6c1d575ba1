"""An order of the rows of each query: the score and the raw score are a number to order them by.

Scores of two queries do not compare, so there is no calibration and no decision.
"""

from typing import Any

import numpy as np
import polars as pl

from headrace.arrays import Floats, Mask
from headrace.errors import InputError
from headrace.spec import Treatment

HAS_CLASSES = False
SCORE_EACH_CLASS = False
HAS_EVENT = False
HAS_QUERIES = True
SCORES = "prediction"
CALIBRATIONS: tuple[str, ...] = ()
TREATMENTS: tuple[Treatment, ...] = ()
LEAK_SHARE = 0.985
LIGHTGBM_OBJECTIVE = "lambdarank"


def check_target(values: pl.Series, distinct: int, where: str) -> None:
    """See `TaskKind`."""
    if not values.dtype.is_numeric():
        raise InputError(where, f"values such as {values[0]!r}", "grades: numbers from 0 on")
    grades = values.cast(pl.Float64)
    bad = ~(grades.is_finite() & (grades >= 0))
    if bad.any():
        row = int(bad.arg_max() or 0)
        found = f"a grade of {grades[row]:g}"
        raise InputError(f"{where}, row {row + 1}", found, "finite grades from 0 on")


def infer_metric(values: pl.Series, positive: Any) -> tuple[Any, str]:
    """See `TaskKind`."""
    return "ndcg_10", "the first places count most, and better grades more"


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
    """See `TaskKind`. Scores stay float64: none may become equal that are not."""
    return {scores: ("prediction", np.float64, 1)}


def decide(scores: Floats, threshold: float) -> Floats:
    """See `TaskKind`."""
    return scores


def treatments(y: Floats, scores: Floats, threshold: float) -> dict[Treatment, tuple[Floats, Mask]]:
    """See `TaskKind`."""
    return {}


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
    return 1.0
