"""What the events that a row sees amount to, by the name of the aggregate. A row that sees nothing counts and sums 0;
the rest is missing then."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats, Integers, Mask
from headrace.windows.history import History
from headrace.windows.row_ranges import NO_EVENT, RowRanges

US_PER_S = 1_000_000


class VisibleEvents(Struct, frozen=True):
    """What rows see: which events (`ranges`) of a history, the column that is aggregated, the events for which the
    condition of a rate holds, and the times of the rows by place. What was found of the cover is `memo`, for other
    columns of the same events."""

    ranges: RowRanges
    history: History
    of: str
    holds: Mask
    times: Integers
    memo: dict[str, Integers]

    @property
    def latest(self) -> Integers:
        """The rank in the history of the last event that each row sees."""
        if "latest" not in self.memo:
            self.memo["latest"] = self.ranges.max(self.history.ranks[self.ranges.events])
        return self.memo["latest"]

    @property
    def values(self) -> pl.Series:
        """The column of the events that any row sees `(C,)`."""
        return self.history.frame[self.of].gather(self.ranges.events)

    @property
    def numbers(self) -> Floats:
        """The same as numbers."""
        return self.values.cast(pl.Float64).to_numpy()


def _count(seen: VisibleEvents) -> pl.Series:
    return pl.Series(seen.ranges.count())


def _sum(seen: VisibleEvents) -> pl.Series:
    return pl.Series(seen.ranges.sum(seen.numbers))


def _mean(seen: VisibleEvents) -> pl.Series:
    return _ratio(seen.ranges.sum(seen.numbers), seen.ranges.count())


def _min(seen: VisibleEvents) -> pl.Series:
    return _extreme(seen, -1)


def _max(seen: VisibleEvents) -> pl.Series:
    return _extreme(seen, 1)


def _last(seen: VisibleEvents) -> pl.Series:
    found, latest = seen.history, seen.latest
    values = found.frame[seen.of]
    if not len(found.order):
        return pl.Series([None] * len(latest), dtype=values.dtype)
    return _present(values.gather(found.order[np.maximum(latest, 0)]), latest != NO_EVENT)


def _distinct(seen: VisibleEvents) -> pl.Series:
    codes = seen.values.rank("dense").cast(pl.Int64).to_numpy()
    return _present(seen.ranges.distinct(codes), seen.ranges.count() > 0)


def _rate(seen: VisibleEvents) -> pl.Series:
    return _ratio(seen.ranges.select(seen.holds).count().astype(np.float64), seen.ranges.count())


def _since(seen: VisibleEvents) -> pl.Series:
    latest = seen.ranges.max(seen.history.time[seen.ranges.events])
    return _present((seen.times - np.where(latest == NO_EVENT, seen.times, latest)) / US_PER_S, latest != NO_EVENT)


AGGREGATES: dict[str, Callable[[VisibleEvents], pl.Series]] = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "min": _min,
    "max": _max,
    "last": _last,
    "distinct": _distinct,
    "rate": _rate,
    "since": _since,
}
"""Each gives a value for each row, by its place."""


def _extreme(seen: VisibleEvents, sign: int) -> pl.Series:
    best = seen.ranges.max(_ordered(sign * seen.numbers))
    return _present(sign * _ordered(best).view(np.float64), best != NO_EVENT)


def _ordered(numbers: npt.NDArray[Any]) -> Integers:
    """Floats as whole numbers that are ordered as they are, and back: the bits of a negative one are turned over, but
    for its sign."""
    bits = numbers.view(np.int64)
    return bits ^ ((bits >> 63) & np.iinfo(np.int64).max)


def _ratio(above: Floats, below: Integers) -> pl.Series:
    return _present(above / np.maximum(below, 1), below > 0)


def _present(values: npt.NDArray[np.generic] | pl.Series, seen: Mask) -> pl.Series:
    """Values where something was seen, missing elsewhere."""
    return pl.Series(values).set(pl.Series(~seen), None)
