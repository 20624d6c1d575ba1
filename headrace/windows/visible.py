"""What rows see of a history of events: what the offline form of every aggregate is computed from."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats, Integers, Mask
from headrace.windows.history import History
from headrace.windows.row_ranges import NO_EVENT, RowRanges


class VisibleEvents(Struct, frozen=True):
    """The events that rows see.

    Parameters: `ranges`, which rows see which events of the `history`; `of`, the column that is
    aggregated; `holds (M,)`, for which events the condition of a rate holds; `times (N,)` of the
    rows, by place. What was found of the ranges stands in `memo`, for other columns of the same
    events.
    """

    ranges: RowRanges
    history: History
    of: str
    holds: Mask
    times: Integers
    memo: dict[str, Integers]

    @property
    def latest(self) -> Integers:
        """The rank in the history of the last event that each row sees `(N,)`."""
        if "latest" not in self.memo:
            self.memo["latest"] = self.ranges.max(self.history.ranks[self.ranges.events])
        return self.memo["latest"]

    @property
    def values(self) -> pl.Series:
        """The column of the events that any row sees `(C,)`."""
        return self.history.frame[self.of].gather(self.ranges.events)

    @property
    def numbers(self) -> Floats:
        """The same as numbers `(C,)`."""
        return self.values.cast(pl.Float64).to_numpy()


def extreme(visible: VisibleEvents, sign: int) -> pl.Series:
    """The largest number that each row sees (`sign` 1), or the smallest (-1)."""
    best = visible.ranges.max(_as_ordered(sign * visible.numbers))
    return present(sign * _as_ordered(best).view(np.float64), best != NO_EVENT)


def divide(above: Floats, below: Integers) -> pl.Series:
    """Quotients `(N,)`, missing where the denominator is 0."""
    return present(above / np.maximum(below, 1), below > 0)


def present(values: npt.NDArray[np.generic] | pl.Series, visible: Mask) -> pl.Series:
    """Values `(N,)` where a row sees something, missing elsewhere."""
    return pl.Series(values).set(pl.Series(~visible), None)


def _as_ordered(numbers: npt.NDArray[Any]) -> Integers:
    """Floats as whole numbers that are ordered as they are, and back.

    The bits of a negative one are turned over, but for its sign.
    """
    bits = numbers.view(np.int64)
    return bits ^ ((bits >> 63) & np.iinfo(np.int64).max)
