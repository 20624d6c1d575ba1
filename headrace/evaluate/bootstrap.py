"""How far a metric would move with other rows: bootstrap intervals, of one model and of the
difference of two.

Efron (1979): rows are drawn again with replacement, so a resample is how often each row was drawn.
Both models of a pair are judged on the same draws, so what they have in common cancels. Rows of one
owner are drawn together.
"""

from collections.abc import Iterator

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.measure import Measure, cost
from headrace.evaluate.predictions import Predictions

_ENDS = (0.025, 0.975)
_RESAMPLES = ((5_000, 400), (50_000, 200), (float("inf"), 100))
"""Up to so many rows, so many resamples: with more rows the ends of an interval are steadier, and dearer."""


def resamples(predictions: Predictions, seed: int, count: int | None = None) -> Iterator[Floats]:
    """The weights of rows `(N,)` in each resample; rows of one owner are drawn together."""
    generator = np.random.default_rng(seed)
    rows, owner, base = len(predictions), predictions.owner, predictions.weights
    units = rows if owner is None else int(owner.max()) + 1
    for _ in range(count or next(count for most, count in _RESAMPLES if rows <= most)):
        times = np.bincount(generator.integers(0, units, units), minlength=units).astype(np.float64)
        yield base * (times if owner is None else times[owner])


def intervals(
    predictions: Predictions, names: list[str] | None = None, seed: int = 0
) -> dict[str, list[float]]:
    """The 95 % percentile interval of every metric; NaN ends for one that no resample defines."""
    measure = Measure(predictions, names)
    values: dict[str, list[float]] = {name: [] for name in measure.names}
    for weight in resamples(predictions, seed):
        for name, value in measure(weight).items():
            values[name].append(value)
    return {name: _ends(found) for name, found in values.items()}


def paired_interval(metric: str, a: Predictions, b: Predictions, seed: int = 0) -> list[float]:
    """The 95 % interval of how much better `a` is than `b` by a metric: above 0, `a` is the better
    one.

    Both are predictions of the same rows.

    >>> y = np.tile([0.0, 1.0], 100)
    >>> a = Predictions("binary", y, 0.1 + 0.8 * y)
    >>> low, high = paired_interval("log_loss", a, a.with_scores(0.3 + 0.4 * y, None))
    >>> low > 0
    True
    """
    first, second = Measure(a, [metric]), Measure(b, [metric])
    gains = []
    for weight in resamples(a, seed):
        gains.append(cost(metric, second(weight)[metric]) - cost(metric, first(weight)[metric]))
    return _ends(gains)


def _ends(values: list[float]) -> list[float]:
    finite = [value for value in values if np.isfinite(value)]
    return (
        [float(np.quantile(finite, end)) for end in _ENDS]
        if finite
        else [float("nan"), float("nan")]
    )
