"""How a model treats groups of people: the same numbers for each group of a column, and how far they lie apart.

Hardt, Price and Srebro (2016), "Equality of opportunity in supervised learning": groups are treated alike where their
true positive rates (and, for equalized odds, their false positive rates) are the same; demographic parity asks for the
same share of yes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from millrace.evaluate.metrics import Vector
from millrace.evaluate.slices import cuts
from millrace.spec import Task, Treatment

TREATMENTS: dict[Task, tuple[Treatment, ...]] = {
    "binary": ("selection_rate", "true_positive_rate", "false_positive_rate", "accuracy"),
    "multiclass": ("accuracy",),
    "regression": ("mean_error", "mean_absolute_error"),
}
_MOST_GROUPS = 30
LEAST_ROWS = 50
"""A group of fewer rows is listed, but says too little to be compared."""


def treatment(
    frame: pl.DataFrame, task: Task, y: Vector, scores: Vector, weight: Vector | None, cut: float
) -> list[dict[str, Any]]:
    """For each column of `frame (N rows)` its groups and the largest gap between them in each number.

    Parameters: `y (N,)` and `scores`, the truth and the predictions of the same rows; `cut`, the threshold of a yes. A
    column of numbers is cut by its quarters. A number that a group does not have (no row that should get a yes) is
    None, as is a gap between fewer than two groups of 50 rows.

    >>> sex = pl.DataFrame({"sex": ["f"] * 50 + ["m"] * 50})
    >>> said = np.repeat([0.9, 0.1, 0.9], [20, 30, 50])
    >>> treatment(sex, "binary", np.ones(100), said, None, 0.5)[0]["gaps"]["true_positive_rate"]
    0.6
    """
    ones = np.ones(len(y)) if weight is None else weight
    numbers = _of_rows(task, y, scores, cut)
    found = []
    for column in frame:
        groups: list[dict[str, Any]] = []
        for _, label, rows in cuts(column, _MOST_GROUPS):
            if rows.any():
                told: dict[str, Any] = {
                    str(name): _mean(values, ones, rows & among) for name, (values, among) in numbers.items()
                }
                groups.append({"group": label, "rows": int(rows.sum()), **told})
        enough = [group for group in groups if group["rows"] >= LEAST_ROWS]
        gaps = {name: _gap([group[name] for group in enough]) for name in TREATMENTS[task]}
        found.append({"attribute": column.name, "groups": groups, "gaps": gaps})
    return found


def _of_rows(
    task: Task, y: Vector, scores: Vector, cut: float
) -> dict[Treatment, tuple[Vector, npt.NDArray[np.bool_]]]:
    """Each number as the mean of values `(N,)` over the rows that count for it."""
    every = np.ones(len(y), dtype=bool)
    if task == "regression":
        return {"mean_error": (scores - y, every), "mean_absolute_error": (np.abs(scores - y), every)}
    if task == "multiclass":
        return {"accuracy": ((scores.argmax(axis=1) == y).astype(np.float64), every)}
    yes = (scores >= cut).astype(np.float64)
    return {
        "selection_rate": (yes, every),
        "true_positive_rate": (yes, y == 1),
        "false_positive_rate": (yes, y == 0),
        "accuracy": ((yes == y).astype(np.float64), every),
    }


def _mean(values: Vector, weight: Vector, rows: npt.NDArray[np.bool_]) -> float | None:
    total = weight[rows].sum()
    return float((values[rows] * weight[rows]).sum() / total) if total > 0 else None


def _gap(values: list[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return max(present) - min(present) if len(present) > 1 else None
