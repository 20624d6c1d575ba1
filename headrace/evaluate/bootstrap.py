"""How far a metric would move with other rows: bootstrap intervals.

Efron (1979): rows are drawn again with replacement. A resample is therefore nothing but another
weight of each row, the number of times that it was drawn:

    rows        a  b  c  d  e
    drawn       c  a  c  e  a
    weights     2  0  2  0  1

Both models of a pair are judged on the same draws, so that what they have in common cancels. Rows
of one owner, or of one query, are drawn together.
"""

from collections.abc import Iterator

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.measure import Measure, cost
from headrace.evaluate.predictions import Predictions

_ENDS = (0.025, 0.975)
_RESAMPLES = ((5_000, 400), (50_000, 200), (float("inf"), 100))
"""The most rows, and how many resamples for them: more rows move the ends less, but cost more."""


def draw_resamples(
    predictions: Predictions, seed: int, count: int | None = None
) -> Iterator[Floats]:
    """Draw the rows again and again: yield the weights of the rows `(N,)` in each resample.

    >>> predictions = Predictions("regression", np.zeros(5), np.zeros(5))
    >>> [float(weight.sum()) for weight in draw_resamples(predictions, seed=1, count=3)]
    [5.0, 5.0, 5.0]
    """
    generator = np.random.default_rng(seed)
    rows = len(predictions)
    owner = predictions.unit_of_row
    base = predictions.weights
    units = rows if owner is None else int(owner.max()) + 1

    for _ in range(count or _count_resamples(rows)):
        times = np.bincount(generator.integers(0, units, units), minlength=units).astype(np.float64)
        yield base * (times if owner is None else times[owner])


def _count_resamples(rows: int) -> int:
    return next(count for most_rows, count in _RESAMPLES if rows <= most_rows)


def intervals(
    predictions: Predictions, names: list[str] | None = None, seed: int = 0
) -> dict[str, list[float]]:
    """Compute the 95 % percentile interval of every metric.

    The ends of a metric that no resample defines are NaN.
    """
    measure = Measure(predictions, names)
    values: dict[str, list[float]] = {name: [] for name in measure.names}
    for weight in draw_resamples(predictions, seed):
        for name, value in measure(weight).items():
            values[name].append(value)
    return {name: _interval(drawn) for name, drawn in values.items()}


def compute_paired_interval(
    metric: str, a: Predictions, b: Predictions, seed: int = 0
) -> list[float]:
    """Compute the 95 % interval of how much better `a` is than `b` by a metric.

    Both are predictions of the same rows. An interval above 0 says that `a` is the better one.

    >>> y = np.tile([0.0, 1.0], 100)
    >>> a = Predictions("binary", y, 0.1 + 0.8 * y)
    >>> low, high = compute_paired_interval("log_loss", a, a.with_scores(0.3 + 0.4 * y, None))
    >>> low > 0
    True
    """
    measure_a = Measure(a, [metric])
    measure_b = Measure(b, [metric])
    gains = []
    for weight in draw_resamples(a, seed):
        cost_a = cost(metric, measure_a(weight)[metric])
        cost_b = cost(metric, measure_b(weight)[metric])
        gains.append(cost_b - cost_a)
    return _interval(gains)


def _interval(values: list[float]) -> list[float]:
    """Return the 2.5 % and the 97.5 % percentile of the finite values."""
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return [float("nan"), float("nan")]
    return [float(np.quantile(finite, end)) for end in _ENDS]
