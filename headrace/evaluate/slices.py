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
    measure = Measure(predictions, [metric])

    def costs(weight: Floats, inside: Floats) -> tuple[float, float]:
        """The metric inside and outside; NaN where the rows of one all weigh nothing."""
        parts = weight * inside, weight * (1 - inside)
        if not all(part.any() for part in parts):
            return float("nan"), float("nan")
        return measure(parts[0])[metric], measure(parts[1])[metric]

    def gap(values: tuple[float, float]) -> float:
        return cost(metric, values[0]) - cost(metric, values[1])

    worse: list[tuple[float, Floats, WeakSlice]] = []
    for column in frame:
        for label, rows in _cuts(column):
            if not _LEAST_ROWS <= rows.sum() <= len(rows) - _LEAST_ROWS:
                continue
            inside = rows.astype(np.float64)
            values = costs(predictions.weights, inside)
            if gap(values) > 0:
                size = int(rows.sum())
                worse.append(
                    (
                        gap(values) * np.sqrt(size),
                        inside,
                        WeakSlice(column.name, label, size, *values, []),
                    )
                )
    worse.sort(key=lambda one: -one[0])

    weights = list(resamples(predictions, seed, _RESAMPLES))
    certain = []
    for _, inside, weak in worse[: 2 * _MOST_LISTED]:
        gaps = [gap(costs(weight, inside)) for weight in weights]
        finite = [one for one in gaps if np.isfinite(one)]
        if len(finite) > _RESAMPLES / 2 and (low := float(np.quantile(finite, 0.025))) > 0:
            certain.append(structs.replace(weak, gap=[low, float(np.quantile(finite, 0.975))]))
    return sorted(certain, key=lambda weak: -weak.gap[0])[:_MOST_LISTED]


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
