"""The rows that see each event, and what the events that a row sees amount to.

Rows are sorted by key and time. A row sees an event of its key from when it is known until it
leaves the window or is replaced. So the rows that see an event follow one another: an event covers
a run of rows, and `first` and `last` say all.

    row           0      1      2      3      4      5      6      7
    key a                                  |  key b
    time          09:00  10:00  11:00  12:00  09:00  10:00  11:00  12:00

    event a, known from 09:30, out of the window from 11:30:
                         [-------------)                                   first 1, last 3

Counting adds 1 where a run starts, takes 1 off where it ends, and sums up along the rows. Sums and
extremes must not do so: what is taken off a sum again takes digits with it, and a maximum cannot be
taken off. They put a run together from blocks instead, each as long as a power of two (see
`RowRanges._join`).
"""

from typing import Any, TypeVar

import numpy as np
from msgspec import Struct

from headrace.arrays import Floats, Integers, Mask

Values = TypeVar("Values", Floats, Integers)
NO_EVENT = np.iinfo(np.int64).min
"""The maximum in a row that sees no event."""


class RowTimes(Struct, frozen=True):
    """The times of `N` rows of `K` keys, sorted by key and time.

    The rows of key `k` are those from `starts[k]` to `starts[k + 1]`, the last left out: `times
    (N,)`, `starts (K + 1,)`.
    """

    times: Integers
    starts: Integers

    def first_at(
        self, codes: Integers, moments: Integers, after: Integers | None = None
    ) -> Integers:
        """Find the first row of each key at a moment or later `(C,)`.

        Where there is none, the result is the end of the key's rows. Parameters: the keys `codes
        (C,)`, the `moments (C,)`, and the rows `after (C,)` before which none can be.

        >>> rows = RowTimes(times=np.array([9, 10, 11, 9, 12]), starts=np.array([0, 3, 5]))
        >>> rows.first_at(codes=np.array([0, 0, 1]), moments=np.array([10, 20, 10])).tolist()
        [1, 3, 4]
        """
        end = self.starts[codes + 1]
        if not len(moments) or moments.min() > self.times.max(initial=NO_EVENT):
            return end

        # All searches halve their rows at once. If the last of `bit` rows is too early, the first
        # row comes behind it; if not, it is this row or one before it.
        found = self.starts[codes] if after is None else after.copy()
        remaining = end - found
        for bit in _powers_of_two(remaining):
            searches = np.flatnonzero(remaining >= bit)
            is_early = self.times[found[searches] + (bit - 1)] < moments[searches]
            remaining[searches[~is_early]] = bit - 1
            searches = searches[is_early]
            remaining[searches] -= bit
            found[searches] += bit
        return found

    def time_at(self, places: Integers, codes: Integers, otherwise: int) -> Integers:
        """Return the time of the row at each place `(C,)`; `otherwise` if it is not the key's."""
        is_own = places < self.starts[codes + 1]
        last_place = max(len(self.times) - 1, 0)
        return np.where(is_own, self.times[np.minimum(places, last_place)], otherwise)


class RowRanges(Struct, frozen=True):
    """The runs of rows that events cover: which of `rows` rows see each of `C` events.

    The event number `events[c]` of a history covers the rows from `first[c]` to `last[c]`, the last
    left out.

    >>> ranges = RowRanges(
    ...     events=np.array([0, 1]), first=np.array([2, 4]), last=np.array([7, 6]), rows=8
    ... )
    >>> ranges.count().tolist()
    [0, 0, 1, 1, 2, 2, 1, 0]
    >>> ranges.sum(np.array([0.5, 10.0])).tolist()
    [0.0, 0.0, 0.5, 0.5, 10.5, 10.5, 0.5, 0.0]
    """

    events: Integers
    first: Integers
    last: Integers
    rows: int

    def select(self, mask: Mask) -> "RowRanges":
        """Return the runs of the events for which a mask over the history holds `(M,)`."""
        is_chosen = mask[self.events]
        return RowRanges(
            self.events[is_chosen], self.first[is_chosen], self.last[is_chosen], self.rows
        )

    def count(self) -> Integers:
        """Count the events that each row sees `(N,)`."""
        begun = np.bincount(self.first, minlength=self.rows + 1)
        ended = np.bincount(self.last, minlength=self.rows + 1)
        return np.cumsum(begun - ended)[: self.rows]

    def sum(self, values: Floats) -> Floats:
        """Sum the values `(C,)` of the events that each row sees `(N,)`; 0 of none."""
        return self._join(np.zeros(self.rows), values, np.add)

    def max(self, values: Integers) -> Integers:
        """Find the largest value `(C,)` of the events that each row sees; `NO_EVENT` of none."""
        return self._join(np.full(self.rows, NO_EVENT), values, np.maximum)

    def distinct(self, values: Integers) -> Integers:
        """Count the different values `(C,)` of the events that each row sees `(N,)`.

        Runs of one value that overlap or touch become one run, so that each row counts it once:

            runs of value 7    [--------)        [----)
                                    [------)
            become             [-----------)     [----)

        >>> ranges = RowRanges(np.arange(3), np.array([0, 2, 1]), np.array([3, 4, 2]), rows=5)
        >>> ranges.distinct(np.array([7, 7, 8])).tolist()
        [1, 2, 1, 1, 0]
        """
        if not len(self.events):
            return np.zeros(self.rows, np.int64)

        order = np.lexsort((self.first, values))
        value = values[order]
        first = self.first[order]
        last = self.last[order]
        group = np.cumsum(np.concatenate([[0], value[1:] != value[:-1]]))

        # How far the runs of one value reach up to here. Each value counts from a height of its
        # own, above all rows of the values before, so that no run reaches into the next value.
        height = group * (self.rows + 1)
        reach = np.maximum.accumulate(last + height) - height
        begins = np.concatenate([[True], (group[1:] != group[:-1]) | (first[1:] > reach[:-1])])
        ends = np.concatenate([begins[1:], [True]])
        return RowRanges(self.events, first[begins], reach[ends], self.rows).count()

    def _join(self, blocks: Values, values: Any, join: np.ufunc) -> Values:
        """Join the values `(C,)` of the events that each row sees, by addition or maximum.

        Parameters: `blocks (N,)`, filled with the result for no event; it becomes the result.

        `blocks[row]` is the joined value of the block that starts at this row. At first blocks are
        long; then each passes its value on to its two halves, until a block is one row. A run is
        made of the blocks whose lengths add up to its own, the longest first. The event `v` covers
        the rows 2 to 6, which are 4 + 1 rows:

            row                 0    1    2    3    4    5    6    7
            covered                       v    v    v    v    v

            blocks of 4 rows              v                             v is put on row 2
            blocks of 2 rows              v         v                   halved
            blocks of 1 row               v    v    v    v    v         halved; v is put on row 6
        """
        length = self.last - self.first
        at = self.first.copy()
        for bit in _powers_of_two(length):
            blocks[bit:] = join(blocks[bit:], blocks[:-bit])
            events = np.flatnonzero(length & bit)
            join.at(blocks, at[events], values[events])
            at[events] += bit
        return blocks


def _powers_of_two(numbers: Integers) -> list[int]:
    """List the powers of two up to the largest of some whole numbers, the highest first.

    >>> _powers_of_two(np.array([5, 1]))
    [4, 2, 1]
    """
    bits = int(numbers.max(initial=0)).bit_length()
    return [1 << bit for bit in reversed(range(bits))]
