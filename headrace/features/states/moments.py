"""The state of a numeric column: the moments of its finite values, and the error of float32."""

import numpy as np
import polars as pl
from msgspec import Struct, structs

_ERROR_THAT_MATTERS = 1e-6


class Moments(Struct, frozen=True):
    """The moments of the finite values of a column.

    `m2` is the sum of squared differences from the mean, `low` and `high` the range. `error` is the
    mean absolute error of rounding the values to float32. `missing` counts null and NaN.
    """

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
        """Whether float32 would lose digits that matter.

        It does where its error is above 1e-6 standard deviations, or where it overflows.

        >>> small = pl.Series([0.1, 0.2, 0.3])
        >>> large = pl.Series([1e8 + 1, 1e8 + 2, 1e8 + 3])
        >>> fit(small).needs_doubles, fit(large).needs_doubles
        (False, True)
        """
        # `not <=` in the place of `>`: an error that is NaN matters too.
        return self.count > 0 and not self.error <= _ERROR_THAT_MATTERS * self.scale


def fit(column: pl.Series) -> Moments:
    """Compute the moments of a column; infinities are present but enter no sum.

    >>> state = fit(pl.Series([1.0, 3.0, None, float("inf")]))
    >>> state.count, state.missing, state.mean, state.m2
    (2, 1, 2.0, 2.0)
    """
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
    """Merge the states of two partitions (Chan, Golub and LeVeque, 1979)."""
    missing = a.missing + b.missing
    # The range of no values is no range, so it must not enter `min` and `max`.
    if not a.count or not b.count:
        filled = a if a.count else b
        return structs.replace(filled, missing=missing)

    count = a.count + b.count
    delta = b.mean - a.mean
    return Moments(
        count,
        missing,
        a.mean + delta * b.count / count,
        a.m2 + b.m2 + delta * delta * a.count * b.count / count,
        min(a.low, b.low),
        max(a.high, b.high),
        (a.error * a.count + b.error * b.count) / count,
    )
