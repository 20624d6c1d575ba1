"""How far a metric would move with other rows: bootstrap intervals, of one model and of the difference of two.

Efron (1979): rows are drawn again with replacement, so a resample is how often each row was drawn. Both models of a
pair are judged on the same draws, so what they have in common cancels. Rows of one owner are drawn together.
"""

from collections.abc import Iterator

import numpy as np

from headrace.arrays import Floats, Integers
from headrace.evaluate.metrics import Measure, cost
from headrace.spec import Task

_ENDS = (0.025, 0.975)
_RESAMPLES = ((5_000, 400), (50_000, 200), (float("inf"), 100))
"""Up to so many rows, so many resamples: with more rows the ends of an interval are steadier, and dearer."""


def resamples(
    rows: int, weight: Floats | None, owner: Integers | None, seed: int, count: int | None = None
) -> Iterator[Floats]:
    """The weights of rows `(N,)` in each resample; `owner (N,)` ties rows that are drawn together."""
    chance = np.random.default_rng(seed)
    base = np.ones(rows) if weight is None else weight
    units = rows if owner is None else int(owner.max()) + 1
    for _ in range(count or next(count for most, count in _RESAMPLES if rows <= most)):
        drawn = np.bincount(chance.integers(0, units, units), minlength=units).astype(np.float64)
        yield base * (drawn if owner is None else drawn[owner])


def intervals(
    measured: Measure, weight: Floats | None = None, owner: Integers | None = None, seed: int = 0
) -> dict[str, list[float]]:
    """The 95 % percentile interval of every metric; NaN ends for one that no resample defines."""
    found: dict[str, list[float]] = {name: [] for name in measured.names}
    for drawn in resamples(measured.rows, weight, owner, seed):
        for name, value in measured(drawn).items():
            found[name].append(value)
    return {name: _ends(values) for name, values in found.items()}


def paired_interval(
    task: Task,
    metric: str,
    y: Floats,
    a: Floats,
    b: Floats,
    weight: Floats | None = None,
    owner: Integers | None = None,
    seed: int = 0,
    cuts: tuple[float, float] = (0.5, 0.5),
) -> list[float]:
    """The 95 % interval of how much better `a` is than `b` by a metric: above 0, `a` is the better one.

    `cuts` are the thresholds at which each says yes, for the metrics of decisions.

    >>> y = np.tile([0.0, 1.0], 100)
    >>> low, high = paired_interval("binary", "log_loss", y, 0.1 + 0.8 * y, 0.3 + 0.4 * y)
    >>> low > 0
    True
    """
    first, second = (Measure(task, y, scores, [metric], cut) for scores, cut in zip((a, b), cuts, strict=True))
    gains = [
        cost(metric, second(drawn)[metric]) - cost(metric, first(drawn)[metric])
        for drawn in resamples(len(y), weight, owner, seed)
    ]
    return _ends(gains)


def _ends(values: list[float]) -> list[float]:
    finite = [value for value in values if np.isfinite(value)]
    return [float(np.quantile(finite, end)) for end in _ENDS] if finite else [float("nan"), float("nan")]
