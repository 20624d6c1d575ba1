"""The state of a numeric column: count, mean and spread of its finite values, range, missing, and float32's error."""

import numpy as np
import polars as pl
from msgspec import Struct

_ERROR_THAT_MATTERS = 1e-6


class Moments(Struct, frozen=True):
    """Sums over finite values. `error` is the mean absolute error of rounding them to float32."""

    count: int
    missing: int
    mean: float
    m2: float
    low: float
    high: float
    error: float

    @property
    def scale(self) -> float:
        """The standard deviation, or 1 for a constant."""
        deviation = (self.m2 / self.count) ** 0.5 if self.count else 0.0
        return deviation if deviation > 0 and np.isfinite(deviation) else 1.0

    @property
    def needs_doubles(self) -> bool:
        """Whether float32 would lose digits that matter: an error above 1e-6 standard deviations,
        or an overflow.

        >>> from polars import Series
        >>> fit(Series([0.1, 0.2, 0.3])).needs_doubles, fit(Series([1e8 + 1, 1e8 + 2, 1e8 + 3])).needs_doubles
        (False, True)
        """
        return self.count > 0 and not self.error <= _ERROR_THAT_MATTERS * self.scale


def fit(column: pl.Series) -> Moments:
    """Takes the moments of a column; infinities count as present but enter no sum."""
    values = column.cast(pl.Float64).drop_nulls().to_numpy()
    values = values[~np.isnan(values)]
    finite = values[np.isfinite(values)]
    missing = len(column) - len(values)
    if not len(finite):
        return Moments(0, missing, 0.0, 0.0, 0.0, 0.0, 0.0)
    mean = float(finite.mean())
    with np.errstate(over="ignore"):
        error = float(np.abs(finite - finite.astype(np.float32)).mean())
        m2 = float(np.square(finite - mean).sum())
    return Moments(len(finite), missing, mean, m2, float(finite.min()), float(finite.max()), error)


def merge(a: Moments, b: Moments) -> Moments:
    """The moments of two partitions together (Chan, Golub and LeVeque, 1979)."""
    if not a.count or not b.count:
        some = a if a.count else b
        return Moments(
            some.count, a.missing + b.missing, some.mean, some.m2, some.low, some.high, some.error
        )
    count, delta = a.count + b.count, b.mean - a.mean
    return Moments(
        count,
        a.missing + b.missing,
        a.mean + delta * b.count / count,
        a.m2 + b.m2 + delta * delta * a.count * b.count / count,
        min(a.low, b.low),
        max(a.high, b.high),
        (a.error * a.count + b.error * b.count) / count,
    )
