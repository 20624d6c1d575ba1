"""The events that rows see: every aggregate computes its offline form from them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats, Integers, Mask
from headrace.windows.history import History
from headrace.windows.row_ranges import NO_EVENT, RowRanges


class VisibleEvents(Struct, frozen=True):
    """The events that `N` rows see: `C` of the `M` versions in a history.

    Parameters: `ranges`, which rows see which events of the `history`; `of`, the column that is
    aggregated; `holds (M,)`, for which events the condition of a rate holds; `times (N,)`, the
    times of the rows in their order. `memo` keeps results that hold for other columns of the same
    events too.
    """

    ranges: RowRanges
    history: History
    of: str
    holds: Mask
    times: Integers
    memo: dict[str, Integers]

    @property
    def latest(self) -> Integers:
        """The rank in the history of the latest event that each row sees `(N,)`."""
        if "latest" not in self.memo:
            self.memo["latest"] = self.ranges.max(self.history.ranks[self.ranges.events])
        return self.memo["latest"]

    @property
    def values(self) -> pl.Series:
        """The aggregated column of the events that any row sees `(C,)`."""
        return self.history.frame[self.of].gather(self.ranges.events)

    @property
    def numbers(self) -> Floats:
        """The aggregated column as numbers `(C,)`."""
        return self.values.cast(pl.Float64).to_numpy()


def find_extreme(visible: VisibleEvents, sign: int) -> pl.Series:
    """Find the largest number that each row sees (`sign` 1), or the smallest (-1)."""
    # `RowRanges.max` takes whole numbers, so floats are compared by their bits.
    best = visible.ranges.max(_order_bits(sign * visible.numbers))
    return blank_empty(sign * _order_bits(best).view(np.float64), best != NO_EVENT)


def divide(above: Floats, below: Integers) -> pl.Series:
    """Divide `(N,)` by `(N,)`; the quotient is missing where the denominator is 0."""
    return blank_empty(above / np.maximum(below, 1), below > 0)


def blank_empty(values: npt.NDArray[np.generic] | pl.Series, visible: Mask) -> pl.Series:
    """Return values `(N,)` that are missing in rows that see no event (`visible` is false)."""
    return pl.Series(values).set(pl.Series(~visible), None)


def _order_bits(numbers: npt.NDArray[Any]) -> Integers:
    """Turn floats into whole numbers that sort in the same order; turn these back into floats.

    The bits of floats, read as whole numbers, sort as floats do only above zero. Below zero they
    sort backwards, so all bits but the sign are flipped there. Flipping twice changes nothing.

    >>> _order_bits(np.array([-2.0, -1.0, 0.0, 1.0])).argsort().tolist()
    [0, 1, 2, 3]
    >>> _order_bits(_order_bits(np.array([-2.0, 1.0]))).view(np.float64).tolist()
    [-2.0, 1.0]
    """
    bits = numbers.view(np.int64)
    return bits ^ ((bits >> 63) & np.iinfo(np.int64).max)
