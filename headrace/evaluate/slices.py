"""Where a model is weak: parts of the test rows on which it is worse than on the rest, for certain."""

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct, structs

from headrace.arrays import Floats, Mask
from headrace.evaluate.bootstrap import resamples
from headrace.evaluate.measure import Measure, cost
from headrace.evaluate.predictions import Predictions
from headrace.tables import value_counts

_LEAST_ROWS, _MOST_ROWS = 50, 6_000
_MOST_VALUES, _QUARTERS = 8, 4
_MOST_LISTED = 12
_RESAMPLES = 100


class WeakSlice(Struct, frozen=True):
    """Rows on which a model is worse than on the others: which column and part, the metric there
    and on the others, and the 95 % interval of how much worse (`gap`).
    """

    column: str
    slice: str
    rows: int
    value: float
    others: float
    gap: list[float]


def weak_slices(
    frame: pl.DataFrame, predictions: Predictions, metric: str, seed: int
) -> list[WeakSlice]:
    """The slices on which the metric is worse than on all other rows, the worst first.

    Parameters: `frame (N rows)`, the columns to cut by: text and flags by their most frequent
    values, numbers and times by quarters, missing by itself. A slice has 50 rows at least, and the
    95 % bootstrap interval of the difference lies above 0. Many slices are looked at, so that some
    would be listed by luck: the interval says how much worse, not whether to worry. Of more than
    6,000 rows as many are drawn.
    """
    if len(predictions) > _MOST_ROWS:
        drawn = np.sort(
            np.random.default_rng(seed).choice(len(predictions), _MOST_ROWS, replace=False)
        )
        frame, predictions = frame[drawn], predictions.select(drawn)
    predictions = structs.replace(predictions, owner=None)
    contrast = _Contrast(predictions, metric)
    worse = _find_worse(frame, predictions, contrast)

    weights = list(resamples(predictions, seed, _RESAMPLES))
    certain = []
    for inside, weak in worse[: 2 * _MOST_LISTED]:
        gaps = [contrast.gap(contrast.values(weight, inside)) for weight in weights]
        finite = [gap for gap in gaps if np.isfinite(gap)]
        if len(finite) <= _RESAMPLES / 2:
            continue
        low, high = np.quantile(finite, [0.025, 0.975]).tolist()
        if low > 0:
            certain.append(structs.replace(weak, gap=[low, high]))
    return sorted(certain, key=lambda weak: -weak.gap[0])[:_MOST_LISTED]


class _Contrast:
    """Compares the metric inside of a slice with the metric outside of it."""

    def __init__(self, predictions: Predictions, metric: str) -> None:
        self._metric = metric
        self._measure = Measure(predictions, [metric])

    def values(self, weight: Floats, inside: Floats) -> tuple[float, float]:
        """Returns the metric inside and outside; NaN where the rows of one side weigh nothing.

        Parameters: `weight (N,)`, what each row counts; `inside (N,)`, 1 for rows of the slice.
        """
        within, without = weight * inside, weight * (1 - inside)
        if not (within.any() and without.any()):
            return float("nan"), float("nan")
        return self._measure(within)[self._metric], self._measure(without)[self._metric]

    def gap(self, values: tuple[float, float]) -> float:
        """Returns by how much the inside is worse than the outside."""
        inside, outside = values
        return cost(self._metric, inside) - cost(self._metric, outside)


def _find_worse(
    frame: pl.DataFrame, predictions: Predictions, contrast: _Contrast
) -> list[tuple[Floats, WeakSlice]]:
    """Finds the slices that are worse than their outside, the most striking first.

    A gap counts times the square root of its rows: as many standard errors, about.
    """
    found: list[tuple[float, Floats, WeakSlice]] = []
    for column in frame:
        for label, rows in _cuts(column):
            if not _LEAST_ROWS <= rows.sum() <= len(rows) - _LEAST_ROWS:
                continue
            inside = rows.astype(np.float64)
            values = contrast.values(predictions.weights, inside)
            gap = contrast.gap(values)
            if gap > 0:
                size = int(rows.sum())
                weak = WeakSlice(column.name, label, size, *values, [])
                found.append((gap * np.sqrt(size), inside, weak))
    found.sort(key=lambda one: -one[0])
    return [(inside, weak) for _, inside, weak in found]


def _cuts(values: pl.Series) -> list[tuple[str, Mask]]:
    """The slices of one column: what they hold in words, and their rows `(N,)`."""
    absent = values.is_null().to_numpy()
    found = [("missing", absent)] if absent.any() else []
    if values.dtype in (pl.String, pl.Boolean) or values.n_unique() <= _MOST_VALUES:
        texts = values.cast(pl.String)
        often = value_counts(texts)["value"].head(_MOST_VALUES).to_list()
        found += [(word, (texts == word).fill_null(False).to_numpy()) for word in often]
    else:
        found += quarters(values)
    return found


def quarters(values: pl.Series) -> list[tuple[str, Mask]]:
    """A column of numbers or times in four parts of about as many rows: the range of each in words, and its rows."""
    numbers = values.to_physical().cast(pl.Float64)
    present = numbers.drop_nulls().drop_nans()
    edges = (
        [present.quantile(step / _QUARTERS) for step in range(_QUARTERS + 1)]
        if len(present)
        else []
    )
    found = []
    for at, (low, high) in enumerate(pairwise(edges)):
        assert low is not None
        assert high is not None
        above = numbers >= low if at == 0 else numbers > low
        rows = (above & (numbers <= high)).fill_null(False).to_numpy()
        if rows.any():
            found.append((_between(values, rows), rows))
    return found


def _between(values: pl.Series, rows: Mask) -> str:
    some = values.filter(pl.Series(rows))
    low: Any = some.min()
    high: Any = some.max()
    if low == high:
        return f"{low:.4g}" if isinstance(low, float) else str(low)
    if isinstance(low, float) and isinstance(high, float):
        return f"{low:.4g} to {high:.4g}"
    return f"{low} to {high}"
