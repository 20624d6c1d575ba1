"""Which rows see which events, and what the events that a row sees amount to.

Rows are sorted by key and time, so that the rows which see an event (those of its key, from when it is known until it
leaves the window or is replaced) stand next to each other: an event covers a run of rows. Counting is then a sum of
steps up and down; sums and extremes go through a segment tree (each event is put on the few nodes that make up its run,
and every row gathers the nodes above it), so that nothing is ever subtracted and no digit is lost to cancellation.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Tree = TypeVar("Tree", Floats, Integers)
LEAST = np.iinfo(np.int64).min
"""What `largest` gives to a row that sees nothing."""


class Rows:
    """Rows by key and time. `keys` are the columns that name a key; a row that misses one of them has none.

    `times (N,)` are sorted by key and time; `places (N,)` says where each row, as it was given, stands among them.
    """

    def __init__(self, keys: pl.DataFrame, times: Integers) -> None:
        named = _numbered(keys)
        self._known = named.drop_nulls().unique().with_row_index("code")
        codes = self.codes(keys)
        codes[codes < 0] = len(self._known)  # behind all keys, where no event is
        order = np.lexsort((times, codes))
        self.times, self.count = times[order], len(times)
        self._latest = times.max() if len(times) else LEAST
        self.places = np.empty(len(times), np.int64)
        self.places[order] = np.arange(len(times))
        self._starts = np.searchsorted(codes[order], np.arange(len(self._known) + 1))

    def codes(self, keys: pl.DataFrame) -> Integers:
        """The number of each key; -1 for one that no row has."""
        named = _numbered(keys)
        found = named.join(self._known, on=named.columns, how="left", maintain_order="left")["code"]
        return found.cast(pl.Int64).fill_null(-1).to_numpy().copy()

    def first_at(self, codes: Integers, moments: Integers) -> Integers:
        """The place of the first row of each key at the moment or later (the end of the key's rows where there is
        none), by bisection within the key."""
        low, high = self._starts[codes], self._starts[codes + 1]
        if not len(moments) or moments.min() > self._latest:
            return high
        found = low.copy()
        live = np.arange(len(codes))
        while len(live):
            open_ = low < high
            if not open_.all():
                found[live[~open_]] = low[~open_]
                live, low, high, moments = live[open_], low[open_], high[open_], moments[open_]
                continue
            middle = (low + high) >> 1
            before = self.times[middle] < moments
            low, high = np.where(before, middle + 1, low), np.where(before, high, middle)
        return found

    def time_at(self, places: Integers, codes: Integers, otherwise: int) -> Integers:
        """The time of the row at each place, where that is one of the key's."""
        inside = places < self._starts[codes + 1]
        return np.where(inside, self.times[np.minimum(places, max(self.count - 1, 0))], otherwise)


def _numbered(keys: pl.DataFrame) -> pl.DataFrame:
    """Keys are told apart by their place, whatever their columns are called."""
    return keys.rename({name: f"key_{at}" for at, name in enumerate(keys.columns)})


class Cover(Struct, frozen=True):
    """The runs of rows that events cover: event number `events (C,)` covers the places `first` to `last`, the last one
    left out, of `rows` rows."""

    events: Integers
    first: Integers
    last: Integers
    rows: int

    def of(self, some: npt.NDArray[np.bool_]) -> "Cover":
        """That of some of the events (a mask over all of them)."""
        kept = some[self.events]
        return Cover(self.events[kept], self.first[kept], self.last[kept], self.rows)

    def count(self) -> Integers:
        """How many events each row sees."""
        up, down = (np.bincount(ends, minlength=self.rows + 1) for ends in (self.first, self.last))
        return np.cumsum(up - down)[: self.rows]

    def total(self, values: Floats) -> Floats:
        """The sum of the values `(C,)` of the events that each row sees; 0 where there are none."""

        def add(tree: Floats, nodes: Integers, some: Floats) -> None:
            tree += np.bincount(nodes, some, len(tree))

        return self._gathered(np.zeros(2 * self.rows), values, add, np.add)

    def largest(self, values: Integers) -> Integers:
        """The largest of the whole numbers `(C,)` of the events that each row sees; `LEAST` where there are none."""

        def raise_(tree: Integers, nodes: Integers, some: Integers) -> None:
            np.maximum.at(tree, nodes, some)

        return self._gathered(np.full(2 * self.rows, LEAST), values, raise_, np.maximum)

    def different(self, values: Integers) -> Integers:
        """How many different values `(C,)` the events that each row sees have: runs of one value that overlap are
        joined, so that each row is counted once."""
        if not len(self.events):
            return np.zeros(self.rows, np.int64)
        order = np.lexsort((self.first, values))
        value, first, last = values[order], self.first[order], self.last[order]
        group = np.cumsum(np.concatenate([[0], value[1:] != value[:-1]]))
        reach = np.maximum.accumulate(last + group * (self.rows + 1)) - group * (self.rows + 1)
        begins = np.concatenate([[True], (group[1:] != group[:-1]) | (first[1:] > reach[:-1])])
        ends = np.concatenate([begins[1:], [True]])
        return Cover(self.events, first[begins], reach[ends], self.rows).count()

    def _gathered(self, tree: Tree, values: Any, put: Callable[[Tree, Any, Any], None], join: Any) -> Tree:
        """A bottom-up segment tree with `rows` leaves (of any number, for joining does not depend on order)."""
        left, right = self.first + self.rows, self.last + self.rows
        while len(left):
            odd = (left & 1) == 1
            put(tree, left[odd], values[odd])
            left = left + odd
            odd = (right & 1) == 1
            right = right - odd
            put(tree, right[odd], values[odd])
            left, right = left >> 1, right >> 1
            live = left < right
            left, right, values = left[live], right[live], values[live]
        top = 1
        while top < self.rows:
            low, high = top, min(2 * top, self.rows)
            tree[2 * low : 2 * high] = join(tree[2 * low : 2 * high], np.repeat(tree[low:high], 2))
            top *= 2
        return tree[self.rows :]
