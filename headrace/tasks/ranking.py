"""An order of the rows of each query: the score and the raw score are a number to order them by.

Scores of two queries do not compare, so there is no calibration and no decision.
"""

from typing import Any

import polars as pl

from headrace.arrays import Floats, Mask
from headrace.errors import InputError
from headrace.spec import Treatment
from headrace.tasks import regression

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


# A score is a number, as in a regression; as float64 no two scores become equal that are not.
width = regression.width
to_scores = regression.to_scores
to_raw = regression.to_raw
link = regression.link
unlink = regression.unlink
outputs = regression.outputs
decide = regression.decide
shift_of_shares = regression.shift_of_shares
target_outputs = regression.target_outputs
rarer_rows = regression.rarer_rows


def treatments(y: Floats, scores: Floats, threshold: float) -> dict[Treatment, tuple[Floats, Mask]]:
    """See `TaskKind`."""
    return {}


def scale(y: Floats) -> float:
    """See `TaskKind`."""
    return 1.0
