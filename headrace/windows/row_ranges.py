"""Which rows see which events, and what the events that a row sees amount to.

Rows are sorted by key and time, so that the rows which see an event (those of its key, from when it
is known until it leaves the window or is replaced) stand next to each other: an event covers a run
of rows. Counting is then a sum of steps up and down; for sums and extremes each event is put on the
few blocks of rows that make up its run, and blocks hand on to their halves what they hold, so that
nothing is ever subtracted and no digit is lost to cancellation.
"""

from typing import Any, TypeVar

import numpy as np
from msgspec import Struct

from headrace.arrays import Floats, Integers, Mask

Values = TypeVar("Values", Floats, Integers)
NO_EVENT = np.iinfo(np.int64).min
"""What `max` gives to a row that sees nothing."""


class RowTimes(Struct, frozen=True):
    """Rows of some keys by key and time: `times (N,)` are sorted by key and time, and the rows of
    key `k` stand from `starts[k]` to `starts[k + 1]`, the last left out.
    """

    times: Integers
    starts: Integers

    def first_at(
        self, codes: Integers, moments: Integers, after: Integers | None = None
    ) -> Integers:
        """The place of the first row of each key at the moment or later (the end of the key's rows
        where there is none), by bisection within the key's rows, or those of them from the place
        `after`.
        """
        end = self.starts[codes + 1]
        if not len(moments) or moments.min() > self.times.max(initial=NO_EVENT):
            return end
        found = self.starts[codes] if after is None else after.copy()
        open_ = end - found
        for bit in _bits(open_):
            some = np.flatnonzero(open_ >= bit)
            before = self.times[found[some] + (bit - 1)] < moments[some]
            open_[some[~before]] = bit - 1
            some = some[before]
            open_[some] -= bit
            found[some] += bit
        return found

    def time_at(self, places: Integers, codes: Integers, otherwise: int) -> Integers:
        """The time of the row at each place, where that is one of the key's."""
        inside = places < self.starts[codes + 1]
        return np.where(
            inside, self.times[np.minimum(places, max(len(self.times) - 1, 0))], otherwise
        )


class RowRanges(Struct, frozen=True):
    """The runs of rows that events cover: event number `events (C,)` covers the places `first` to
    `last`, the last one left out, of `rows` rows.
    """

    events: Integers
    first: Integers
    last: Integers
    rows: int

    def select(self, some: Mask) -> "RowRanges":
        """That of some of the events (a mask over all of them)."""
        kept = some[self.events]
        return RowRanges(self.events[kept], self.first[kept], self.last[kept], self.rows)

    def count(self) -> Integers:
        """How many events each row sees."""
        up, down = (np.bincount(ends, minlength=self.rows + 1) for ends in (self.first, self.last))
        return np.cumsum(up - down)[: self.rows]

    def sum(self, values: Floats) -> Floats:
        """The sum of the values `(C,)` of the events that each row sees; 0 where there are none."""
        return self._joined(np.zeros(self.rows), values, np.add)

    def max(self, values: Integers) -> Integers:
        """The largest of the whole numbers `(C,)` of the events that each row sees; `NO_EVENT` where there are none."""
        return self._joined(np.full(self.rows, NO_EVENT), values, np.maximum)

    def distinct(self, values: Integers) -> Integers:
        """How many different values `(C,)` the events that each row sees have: runs of one value
        that overlap are joined, so that each row is counted once.
        """
        if not len(self.events):
            return np.zeros(self.rows, np.int64)
        order = np.lexsort((self.first, values))
        value, first, last = values[order], self.first[order], self.last[order]
        group = np.cumsum(np.concatenate([[0], value[1:] != value[:-1]]))
        reach = np.maximum.accumulate(last + group * (self.rows + 1)) - group * (self.rows + 1)
        begins = np.concatenate([[True], (group[1:] != group[:-1]) | (first[1:] > reach[:-1])])
        ends = np.concatenate([begins[1:], [True]])
        return RowRanges(self.events, first[begins], reach[ends], self.rows).count()

    def _joined(self, held: Values, values: Any, join: np.ufunc) -> Values:
        """What each row sees, joined. A run is put together from blocks whose lengths are the
        powers of two that add up to its own, the longest first; what a block of `2 * bit` rows
        holds goes on to the two of `bit` rows in it.
        """
        length, at = self.last - self.first, self.first.copy()
        for bit in _bits(length):
            held[bit:] = join(held[bit:], held[:-bit])
            some = np.flatnonzero(length & bit)
            join.at(held, at[some], values[some])
            at[some] += bit
        return held


def _bits(lengths: Integers) -> list[int]:
    """The powers of two in whole numbers up to the largest of these, the highest first."""
    return [1 << bit for bit in reversed(range(int(lengths.max(initial=0)).bit_length()))]
