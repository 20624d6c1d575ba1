"""How a model treats groups of people: each measure by group, and how far the groups lie apart.

Hardt, Price and Srebro (2016), "Equality of opportunity in supervised learning": groups are treated
alike where their true positive rates (and, for equalized odds, their false positive rates) are the
same; demographic parity asks for the same share of yes.
"""

import numpy as np
import polars as pl
from msgspec import UNSET, Struct, UnsetType

from headrace.arrays import Floats, Integers, Mask
from headrace.evaluate.predictions import Predictions
from headrace.evaluate.slices import quarters
from headrace.spec import Treatment

_FEW_NUMBERS = 30
"""A column of more different numbers is cut by its quarters."""
_MOST_LISTED = 100
LEAST_ROWS = 50
"""A number of a group that is the mean of fewer rows says too little to be compared."""


_Mean = float | None | UnsetType


class Group(Struct, frozen=True):
    """A group of people: its rows, and each measure of the task (None where no row counts for it).

    `compared` names the measures that are means of 50 rows or more.
    """

    group: str
    rows: int
    compared: list[Treatment]
    selection_rate: _Mean = UNSET
    true_positive_rate: _Mean = UNSET
    false_positive_rate: _Mean = UNSET
    accuracy: _Mean = UNSET
    mean_error: _Mean = UNSET
    mean_absolute_error: _Mean = UNSET

    def mean(self, measure: Treatment) -> float:
        """Return a measure that is compared."""
        value = getattr(self, measure)
        assert isinstance(value, float)
        return value


class Treated(Struct, frozen=True):
    """The groups of one column, the largest first, and the largest gap between them by measure.

    A gap between fewer than two groups is None. At most a hundred groups that are not compared are
    listed; `left_out` counts the others.
    """

    attribute: str
    groups: list[Group]
    left_out: int
    gaps: dict[Treatment, float | None]


def compare_groups(frame: pl.DataFrame, predictions: Predictions) -> list[Treated]:
    """Compare the groups of each column of `frame (N rows)`.

    A column of more than 30 different numbers is cut by its quarters; rows without a value are a
    group of their own.

    >>> sex = pl.DataFrame({"sex": ["f"] * 50 + ["m"] * 50})
    >>> predictions = Predictions("binary", np.ones(100), np.repeat([0.9, 0.1, 0.9], [20, 30, 50]))
    >>> compare_groups(sex, predictions)[0].gaps["true_positive_rate"]
    0.6
    """
    measures = predictions.kind.treatments(predictions.y, predictions.scores, predictions.cut)
    return [_compare(column, measures, predictions.weights) for column in frame]


def _compare(
    column: pl.Series, measures: dict[Treatment, tuple[Floats, Mask]], weight: Floats
) -> Treated:
    """Compare the groups of one column.

    Parameters: `measures`, by name the values `(N,)` whose weighted mean is the measure, and the
    mask `(N,)` of the rows that count for it; `weight (N,)`.
    """
    codes, labels = _number_groups(column)
    sizes = np.bincount(codes, minlength=len(labels))
    values: list[dict[Treatment, float | None]] = [{} for _ in labels]
    compared: list[list[Treatment]] = [[] for _ in labels]
    gaps: dict[Treatment, float | None] = {}

    for name, (value_of_row, counts) in measures.items():
        group = codes[counts]
        rows = np.bincount(group, minlength=len(labels))
        weights = np.bincount(group, weight[counts], len(labels))
        sums = np.bincount(group, (value_of_row * weight)[counts], len(labels))
        means = []
        for at in range(len(labels)):
            mean = float(sums[at] / weights[at]) if weights[at] > 0 else None
            values[at][name] = mean
            if rows[at] >= LEAST_ROWS and mean is not None:
                compared[at].append(name)
                means.append(mean)
        gaps[name] = max(means) - min(means) if len(means) > 1 else None

    groups = []
    for at, label in enumerate(labels):
        groups.append(Group(label, int(sizes[at]), compared[at], **values[at]))
    ranked = sorted(groups, key=lambda group: -group.rows)
    # A group that is compared stays listed, however small: the gap may be its own.
    listed = [group for at, group in enumerate(ranked) if at < _MOST_LISTED or group.compared]
    return Treated(column.name, listed, len(ranked) - len(listed), gaps)


def _number_groups(column: pl.Series) -> tuple[Integers, list[str]]:
    """Return the number of each row's group `(N,)`, and the groups in words."""
    if column.dtype in (pl.String, pl.Boolean) or column.n_unique() <= _FEW_NUMBERS:
        texts = column.cast(pl.String)
        labels = texts.unique().sort(nulls_last=True)
        codes = texts.rank("dense").cast(pl.Int64).fill_null(len(labels)) - 1
        return codes.to_numpy(), ["(missing)" if label is None else label for label in labels]

    ranges = quarters(column)
    missing = len(ranges)
    codes_of_rows = np.full(len(column), missing)
    for at, (_, rows) in enumerate(ranges):
        codes_of_rows[rows] = at
    names = [label for label, _ in ranges]
    if (codes_of_rows == missing).any():
        names.append("(missing)")
    return codes_of_rows, names
