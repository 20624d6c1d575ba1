"""Where a model is weak: parts of the test rows on which it is worse than on the rest, for certain."""

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from headrace.arrays import Floats, Mask
from headrace.evaluate.bootstrap import resamples
from headrace.evaluate.metrics import Measure, cost
from headrace.spec import Task
from headrace.tables import value_counts

_LEAST_ROWS, _MOST_ROWS = 50, 6_000
_MOST_VALUES, _QUARTERS = 8, 4
_MOST_LISTED = 12
_RESAMPLES = 100


def weak_slices(
    frame: pl.DataFrame,
    task: Task,
    metric: str,
    y: Floats,
    scores: Floats,
    weight: Floats | None,
    cut: float,
    seed: int,
) -> list[dict[str, Any]]:
    """The slices on which the metric is worse than on all other rows, the worst first.

    Parameters: `frame (N rows)`, the columns to cut by: text and flags by their most frequent values, numbers and times
    by quarters, missing by itself; `y (N,)` and `scores` of the same rows; `cut`, the threshold of a yes. A slice has
    50 rows at least, and the 95 % bootstrap interval of the difference lies above 0. Many slices are looked at, so that
    some would be listed by luck: the interval says how much worse, not whether to worry. Of more than 6,000 rows as
    many are drawn.
    """
    if len(y) > _MOST_ROWS:
        some = np.sort(np.random.default_rng(seed).choice(len(y), _MOST_ROWS, replace=False))
        frame, y, scores, weight = frame[some], y[some], scores[some], None if weight is None else weight[some]
    measured = Measure(task, y, scores, [metric], cut)
    ones = np.ones(len(y)) if weight is None else weight

    def values(drawn: Floats, inside: Floats) -> tuple[float, float]:
        parts = drawn * inside, drawn * (1 - inside)
        if not all(part.any() for part in parts):  # rows that all weigh nothing
            return float("nan"), float("nan")
        return measured(parts[0])[metric], measured(parts[1])[metric]

    worse = []
    for name, label, rows in (slice_ for column in frame for slice_ in _cuts(column)):
        if _LEAST_ROWS <= rows.sum() <= len(rows) - _LEAST_ROWS:
            inside = rows.astype(np.float64)
            value, others = values(ones, inside)
            gap = cost(metric, value) - cost(metric, others)
            if gap > 0:
                told: dict[str, Any] = {
                    "column": name,
                    "slice": label,
                    "rows": int(rows.sum()),
                    "value": value,
                    "others": others,
                }
                worse.append((gap * np.sqrt(rows.sum()), inside, told))
    worse.sort(key=lambda one: -one[0])
    drawn = list(resamples(len(y), weight, None, seed, _RESAMPLES))
    found: list[dict[str, Any]] = []
    for _, inside, told in worse[: 2 * _MOST_LISTED]:
        pairs = [values(one, inside) for one in drawn]
        gaps = [cost(metric, value) - cost(metric, others) for value, others in pairs]
        finite = [gap for gap in gaps if np.isfinite(gap)]
        if len(finite) > _RESAMPLES / 2 and (low := float(np.quantile(finite, 0.025))) > 0:
            found.append(told | {"gap": [low, float(np.quantile(finite, 0.975))]})
    return sorted(found, key=lambda one: -one["gap"][0])[:_MOST_LISTED]


def _cuts(values: pl.Series) -> list[tuple[str, str, Mask]]:
    """The slices of one column: its name, what they hold in words, and their rows `(N,)`."""
    absent = values.is_null().to_numpy()
    found = [("missing", absent)] if absent.any() else []
    if values.dtype in (pl.String, pl.Boolean) or values.n_unique() <= _MOST_VALUES:
        texts = values.cast(pl.String)
        often = value_counts(texts)["value"].head(_MOST_VALUES).to_list()
        found += [(word, (texts == word).fill_null(False).to_numpy()) for word in often]
    else:
        found += quarters(values)
    return [(values.name, label, rows) for label, rows in found]


def quarters(values: pl.Series) -> list[tuple[str, Mask]]:
    """A column of numbers or times in four parts of about as many rows: the range of each in words, and its rows."""
    numbers = values.to_physical().cast(pl.Float64)
    present = numbers.drop_nulls().drop_nans()
    edges = [present.quantile(step / _QUARTERS) for step in range(_QUARTERS + 1)] if len(present) else []
    found = []
    for at, (low, high) in enumerate(pairwise(edges)):
        assert low is not None and high is not None
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
