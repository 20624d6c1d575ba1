"""How a model treats groups of people: the same numbers for each group of a column, and how far they lie apart.

Hardt, Price and Srebro (2016), "Equality of opportunity in supervised learning": groups are treated alike where their
true positive rates (and, for equalized odds, their false positive rates) are the same; demographic parity asks for the
same share of yes.
"""

from typing import Any

import numpy as np
import polars as pl

from headrace.arrays import Floats, Integers, Mask
from headrace.evaluate.slices import quarters
from headrace.spec import Task, Treatment

TREATMENTS: dict[Task, tuple[Treatment, ...]] = {
    "binary": ("selection_rate", "true_positive_rate", "false_positive_rate", "accuracy"),
    "multiclass": ("accuracy",),
    "regression": ("mean_error", "mean_absolute_error"),
}
_FEW_NUMBERS = 30
"""A column of more different numbers is cut by its quarters."""
_MOST_LISTED = 100
LEAST_ROWS = 50
"""A number of a group that is the mean of fewer rows says too little to be compared."""


def treatment(
    frame: pl.DataFrame, task: Task, y: Floats, scores: Floats, weight: Floats | None, cut: float
) -> list[dict[str, Any]]:
    """For each column of `frame (N rows)` its groups, the largest first, and the largest gap between them in each
    number.

    Parameters: `y (N,)` and `scores`, the truth and the predictions of the same rows; `cut`, the threshold of a yes. A
    group has its `rows`, each number (None where no row counts for it), and in `compared` the numbers that enter the
    gaps: those that are means of 50 rows. A gap between fewer than two groups is None. A column of more than 30
    different numbers is cut by its quarters; rows without a value are a group of their own. Of groups that are not
    compared a hundred are listed at most (`left_out` counts the rest).

    >>> sex = pl.DataFrame({"sex": ["f"] * 50 + ["m"] * 50})
    >>> said = np.repeat([0.9, 0.1, 0.9], [20, 30, 50])
    >>> treatment(sex, "binary", np.ones(100), said, None, 0.5)[0]["gaps"]["true_positive_rate"]
    0.6
    """
    ones = np.ones(len(y)) if weight is None else weight
    numbers = _of_rows(task, y, scores, cut)
    return [_treated(column, numbers, ones) for column in frame]


def _treated(column: pl.Series, numbers: dict[Treatment, tuple[Floats, Mask]], weight: Floats) -> dict[str, Any]:
    codes, labels = _groups(column)
    sizes = np.bincount(codes, minlength=len(labels))
    groups: list[dict[str, Any]] = [
        {"group": label, "rows": int(size), "compared": []} for label, size in zip(labels, sizes, strict=True)
    ]
    gaps: dict[str, float | None] = {}
    for name, (values, among) in numbers.items():
        of = codes[among]
        counted = np.bincount(of, minlength=len(labels))
        weighed = np.bincount(of, weight[among], len(labels))
        summed = np.bincount(of, (values * weight)[among], len(labels))
        compared = []
        for at, group in enumerate(groups):
            group[name] = float(summed[at] / weighed[at]) if weighed[at] > 0 else None
            if counted[at] >= LEAST_ROWS and group[name] is not None:
                group["compared"].append(name)
                compared.append(group[name])
        gaps[name] = max(compared) - min(compared) if len(compared) > 1 else None
    ranked = sorted(groups, key=lambda one: -one["rows"])
    listed = [group for at, group in enumerate(ranked) if at < _MOST_LISTED or group["compared"]]
    return {"attribute": column.name, "groups": listed, "left_out": len(ranked) - len(listed), "gaps": gaps}


def _groups(column: pl.Series) -> tuple[Integers, list[str]]:
    """The number of the group of each row `(N,)`, and the groups in words."""
    if column.dtype in (pl.String, pl.Boolean) or column.n_unique() <= _FEW_NUMBERS:
        texts = column.cast(pl.String)
        labels = texts.unique().sort(nulls_last=True)
        codes = texts.rank("dense").cast(pl.Int64).fill_null(len(labels)) - 1
        return codes.to_numpy(), ["(missing)" if label is None else label for label in labels]
    found = quarters(column)
    places = np.full(len(column), len(found))
    for at, (_, rows) in enumerate(found):
        places[rows] = at
    return places, [label for label, _ in found] + ["(missing)"] * bool((places == len(found)).any())


def _of_rows(task: Task, y: Floats, scores: Floats, cut: float) -> dict[Treatment, tuple[Floats, Mask]]:
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
