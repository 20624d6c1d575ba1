"""Find where a model is weak: parts of the test rows on which it is worse than on the others."""

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct, structs

from headrace.arrays import Floats, Mask
from headrace.evaluate.bootstrap import draw_resamples
from headrace.evaluate.measure import Measure, cost
from headrace.evaluate.predictions import Predictions
from headrace.tables import count_values
from headrace.tasks import Queries

_LEAST_ROWS = 50
_LEAST_QUERIES = 20
_MOST_ROWS = 6_000
_MOST_VALUES = 8
_QUARTERS = 4
_MOST_LISTED = 12
_RESAMPLES = 100


class WeakSlice(Struct, frozen=True):
    """Rows on which a model is worse than on the others.

    `slice` names the part of the column in words, `value` is the metric there, `others` the metric
    on all other rows, and `gap` the 95 % interval of how much worse it is there.
    """

    column: str
    slice: str
    rows: int
    value: float
    others: float
    gap: list[float]


def find_weak_slices(
    frame: pl.DataFrame, predictions: Predictions, metric: str, seed: int
) -> list[WeakSlice]:
    """Find the slices on which the metric is worse than on all other rows, the worst first.

    Parameters: `frame (N rows)`, the columns to cut by. Text and flags are cut by their most
    frequent values, numbers and times by quarters; missing values are a slice of their own.

    A slice has at least 50 rows, and the 95 % bootstrap interval of the difference lies above 0.
    Many slices are compared, so some are listed by luck: the interval says how much worse, not
    whether to worry. Of more than 6,000 rows, 6,000 are drawn. In a ranking only columns with one
    value in each query are cut, and a slice has at least 20 queries.
    """
    if len(predictions) > _MOST_ROWS:
        drawn = predictions.draw(_MOST_ROWS, seed)
        frame = frame[drawn]
        predictions = predictions.select(drawn)
    if predictions.queries is not None:
        frame = _select_constant(frame, predictions.queries)
    # Slices cut through owners, so rows are drawn one by one.
    predictions = structs.replace(predictions, owner=None)
    contrast = _Contrast(predictions, metric)
    worse = _find_worse(frame, predictions, contrast)

    # Only the most striking ones are resampled, which costs most of the time.
    weights = list(draw_resamples(predictions, seed, _RESAMPLES))
    certain = []
    for inside, weak in worse[: 2 * _MOST_LISTED]:
        gaps = [contrast.gap(contrast.values(weight, inside)) for weight in weights]
        finite = [gap for gap in gaps if np.isfinite(gap)]
        # In a slice with few events most resamples may have one class: they say nothing.
        if len(finite) <= _RESAMPLES / 2:
            continue
        low, high = np.quantile(finite, [0.025, 0.975]).tolist()
        if low > 0:
            certain.append(structs.replace(weak, gap=[low, high]))
    return sorted(certain, key=lambda weak: -weak.gap[0])[:_MOST_LISTED]


def _select_constant(frame: pl.DataFrame, queries: Queries) -> pl.DataFrame:
    """Select the columns with one value in all rows of each query."""
    query = pl.Series("query", queries.of_row)
    names = [
        column.name
        for column in frame
        if pl.DataFrame([query, column.rename("value")]).n_unique() == queries.count
    ]
    return frame.select(cs.by_name(*names))


class _Contrast:
    """A comparison of the metric inside of a slice with the metric outside of it."""

    def __init__(self, predictions: Predictions, metric: str) -> None:
        self._metric = metric
        self._measure = Measure(predictions, [metric])

    def values(self, weight: Floats, inside: Floats) -> tuple[float, float]:
        """Compute the metric inside and outside; NaN where the rows of one side weigh nothing.

        Parameters: `weight (N,)`, what each row counts; `inside (N,)`, 1 for rows of the slice.
        """
        within = weight * inside
        without = weight * (1 - inside)
        if not (within.any() and without.any()):
            return float("nan"), float("nan")
        return self._measure(within)[self._metric], self._measure(without)[self._metric]

    def gap(self, values: tuple[float, float]) -> float:
        """Return by how much the inside is worse than the outside."""
        inside, outside = values
        return cost(self._metric, inside) - cost(self._metric, outside)


def _find_worse(
    frame: pl.DataFrame, predictions: Predictions, contrast: _Contrast
) -> list[tuple[Floats, WeakSlice]]:
    """Find the slices that are worse than their outside, the most striking first.

    Returns each with its rows as a weight `(N,)`.
    """
    worse: list[tuple[float, Floats, WeakSlice]] = []
    for column in frame:
        for label, rows in _cut(column):
            if not _LEAST_ROWS <= rows.sum() <= len(rows) - _LEAST_ROWS:
                continue
            if not _has_queries(predictions, rows):
                continue
            inside = rows.astype(np.float64)
            values = contrast.values(predictions.weights, inside)
            gap = contrast.gap(values)
            if gap > 0:
                size = int(rows.sum())
                weak = WeakSlice(column.name, label, size, *values, [])
                # About the number of standard errors: a small slice needs a larger gap.
                worse.append((gap * np.sqrt(size), inside, weak))
    worse.sort(key=lambda entry: -entry[0])
    return [(inside, weak) for _, inside, weak in worse]


def _has_queries(predictions: Predictions, rows: Mask) -> bool:
    """Say whether a slice and its outside have queries enough, if there are queries."""
    if predictions.queries is None:
        return True
    inside = len(np.unique(predictions.queries.of_row[rows]))
    return _LEAST_QUERIES <= inside <= predictions.queries.count - _LEAST_QUERIES


def _cut(values: pl.Series) -> list[tuple[str, Mask]]:
    """Cut one column in slices: the name of each in words, and its rows `(N,)`."""
    slices: list[tuple[str, Mask]] = []
    absent = values.is_null().to_numpy()
    if absent.any():
        slices.append(("missing", absent))

    if values.dtype in (pl.String, pl.Boolean) or values.n_unique() <= _MOST_VALUES:
        texts = values.cast(pl.String)
        for word in count_values(texts)["value"].head(_MOST_VALUES).to_list():
            slices.append((word, (texts == word).fill_null(False).to_numpy()))
        return slices
    return slices + quarters(values)


def quarters(values: pl.Series) -> list[tuple[str, Mask]]:
    """Cut a column of numbers or times in four parts of about as many rows.

    Returns the range of each part in words, and its rows `(N,)`; parts without rows are left out.

    >>> [(name, int(rows.sum())) for name, rows in quarters(pl.Series([1, 2, 3, 4, 5]))]
    [('1 to 2', 2), ('3', 1), ('4', 1), ('5', 1)]
    """
    numbers = values.to_physical().cast(pl.Float64)
    present = numbers.drop_nulls().drop_nans()
    if not len(present):
        return []

    edges = [present.quantile(step / _QUARTERS) for step in range(_QUARTERS + 1)]
    parts = []
    for at, (low, high) in enumerate(pairwise(edges)):
        assert low is not None
        assert high is not None
        # The first part has its lower edge too; every other edge belongs to the part below it.
        above = numbers >= low if at == 0 else numbers > low
        rows = (above & (numbers <= high)).fill_null(False).to_numpy()
        if rows.any():
            parts.append((_name_range(values.filter(pl.Series(rows))), rows))
    return parts


def _name_range(values: pl.Series) -> str:
    """Name the range of values, such as "0.25 to 3"."""
    low: Any = values.min()
    high: Any = values.max()
    if low == high:
        return f"{low:.3g}" if isinstance(low, float) else str(low)
    if isinstance(low, float) and isinstance(high, float):
        return f"{low:.3g} to {high:.3g}"
    return f"{low} to {high}"
