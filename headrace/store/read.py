"""Reads the windows of rows from the store, in one round trip, whatever the number of windows.

A row at 23 reads a window of 10 from tiles of 5:

    tiles        | 0 | 5 | 10 | 15 | 20 |
    left end                ^ floor((23 - 10) / 5) * 5 = 10
    merged                  |=============   with the open versions that the row sees

No tile holds an event that the row may not see: an event stays open until every row sees it. Hence
everything from the left end on is merged, and nothing is ever cut off on the right.

The code that runs for each row, group or column has its form for speed: comprehensions, local
names, and lookups that `__init__` makes once. `benchmarks/online_store.py` measures it.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np

from headrace.clock import to_datetime
from headrace.errors import EmptyStoreError, WorkError, check_format
from headrace.store.accumulator import Accumulator
from headrace.store.codec import DECODE_ERRORS, Codec, EntityView, OpenVersion
from headrace.store.keys import STATE, StoreState, group_prefix, layout_key, make_row_namer, shorten
from headrace.store.layout import FORMAT, EventSource, Group, Layout, Level, WindowRead
from headrace.store.store import Store
from headrace.windows.aggregates import AGGREGATES, NUMBER_STATES
from headrace.windows.states import Merge

Value = Any


class WindowReader:
    """Reads the windows of rows as of a moment.

    It follows the store: the next read sees what was pushed, and a store that was filled anew.
    Raises `InputError` where the store was never filled.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generation = -1
        # The bytes of the state that were read last, and the horizon in them.
        self._last_state: tuple[bytes | None, int] = (b"", 0)
        self._groups: list[_GroupReader] = []
        self._follow(read_state(store))

    def row(self, row: Mapping[str, Any], moment: int) -> dict[str, Value]:
        """Read the windows' columns of one row; `moment` in microseconds since 1970 UTC.

        The store does not know the past: a moment before its horizon, the latest moment that it
        knows of, is read as the horizon.
        """
        return self.rows([row], [moment])[0]

    def rows(
        self, rows: Sequence[Mapping[str, Any]], moments: Sequence[int]
    ) -> list[dict[str, Value]]:
        """Read the windows' columns of several rows, in one round trip too; see `row`.

        The columns of an entity whose bytes are damaged are left out; other entities are read.
        """
        groups = self._groups
        keys: list[bytes] = [STATE]
        for row in rows:
            for group in groups:
                keys.append(group.key(row))
        blobs = self._store.read(keys)

        # Most reads find the bytes of the state as they were, and need not decode them.
        last, horizon = self._last_state
        if blobs[0] != last:
            state = _decode_state(blobs[0])
            # The keys above were those of the generation before: read again.
            if state.generation != self._generation:
                self._follow(state)
                return self.rows(rows, moments)
            horizon = state.horizon
            self._last_state = (blobs[0], horizon)

        at = 1
        results = []
        for moment in moments:
            values: dict[str, Value] = {}
            as_of = moment if moment > horizon else horizon
            for group in groups:
                try:
                    group.read(blobs[at], as_of, values)
                except DECODE_ERRORS:
                    group.remove_columns(values)
                at += 1
            results.append(values)
        return results

    def names(self, rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
        """Return the names of the entities of rows: those of the first row, then of the next.

        An entity has no name where a key is missing. Raises `InputError` for a value that cannot be
        a value of its key.
        """
        names: list[str | None] = []
        for row in rows:
            names += [group.name(row) for group in self._groups]
        return names

    @property
    def horizon(self) -> int:
        """The latest moment that the store knew of at the last read (microseconds since 1970)."""
        return self._last_state[1]

    @property
    def layout(self) -> Layout:
        """The layout of the store."""
        return self._layout

    def _follow(self, state: StoreState) -> None:
        """Turn to the generation of a state."""
        self._layout = read_layout(self._store, state)
        self._groups = [
            _GroupReader(group, self._layout.sources[group.events], group_prefix(state.prefix, at))
            for at, group in enumerate(self._layout.groups)
        ]
        self._generation = state.generation


def read_state(store: Store) -> StoreState:
    """Read the state of a store; raise `InputError` where it was never filled."""
    return _decode_state(store.read([STATE])[0])


def read_layout(store: Store, state: StoreState) -> Layout:
    """Read the layout of a store; raise `WorkError` for a damaged one, or one of another format."""
    (value,) = store.read([layout_key(state.prefix)])
    do = "`headrace materialize DIR` refills it"
    try:
        # The format comes first: what another one calls its fields is not known.
        fields = msgspec.json.decode(value or b"", type=dict[str, Any])
        check_format(WorkError, "the online store", fields.get("format", FORMAT), FORMAT, do)
        return msgspec.json.decode(value or b"", type=Layout)
    except DECODE_ERRORS:
        raise WorkError(
            "the online store", "damaged: it does not say what it keeps", "a filled one", do
        ) from None


def _decode_state(value: bytes | None) -> StoreState:
    if value is None:
        do = "headrace materialize DIR fills it"
        raise EmptyStoreError("the online store", "nothing in it yet", "a filled one", do)
    try:
        return StoreState.decode(value)
    except DECODE_ERRORS:
        do = "`headrace materialize DIR` refills it"
        raise WorkError(
            "the online store", "damaged: it does not say where it stands", "a filled one", do
        ) from None


class _GroupReader:
    """Reads the columns of one group from the bytes of an entity."""

    def __init__(self, group: Group, source: EventSource, prefix: bytes) -> None:
        self._prefix = prefix
        self._codec = Codec(group)
        self.name = make_row_namer(group)

        # Columns of one level that reach equally far are finished from the same tiles.
        reads_of: dict[tuple[int, int | None], list[WindowRead]] = {}
        for read in group.reads:
            reads_of.setdefault((read.level, read.over), []).append(read)
        self._spans = [
            _SpanReader(level, over, group.levels[level], source, reads)
            for (level, over), reads in reads_of.items()
        ]
        self._empty = {read.name: AGGREGATES[read.aggregate].EMPTY for read in group.reads}

    def key(self, row: Mapping[str, Any]) -> bytes:
        """Return the key of a row's entity.

        Where the row has no entity it is the prefix, under which no value ever lies.
        """
        name = self.name(row)
        return self._prefix if name is None else self._prefix + shorten(name.encode())

    def remove_columns(self, values: dict[str, Value]) -> None:
        """Remove the columns of the group from the values of a row."""
        for name in self._empty:
            values.pop(name, None)

    def read(self, blob: bytes | None, moment: int, values: dict[str, Value]) -> None:
        """Add the group's columns at a moment to the values of a row."""
        if blob is None:
            values.update(self._empty)
            return
        views, opens = self._codec.decode(blob)
        if opens:
            opens = [one for one in opens if one.visible_from <= moment < one.replaced]
        for span in self._spans:
            span.read(views[span.level], opens, moment, values)


class _SpanReader:
    """Reads the columns of one level whose windows reach equally far.

    Tiles are reduced to states once, and each column is finished from the states that it needs.
    """

    def __init__(
        self,
        number: int,
        over: int | None,
        level: Level,
        source: EventSource,
        reads: list[WindowRead],
    ) -> None:
        self.level = number
        self._over = over
        self._hop = level.hop
        self._accumulator = Accumulator(level, source)
        needed: set[int] = set()
        for read in reads:
            needed.update(read.states)

        # States that merge alike lie side by side: one call reduces all that are needed of them.
        self._reduce = []
        merges = [NUMBER_STATES[state.kind].merge for state in level.numbers]
        for merge, reduce in _REDUCE.items():
            rows = [row for row, one in enumerate(merges) if one == merge and row in needed]
            if rows:
                self._reduce.append((reduce, slice(rows[0], rows[-1] + 1)))

        self._height = len(level.numbers)
        lasts = len(level.lasts)
        pieces = range(lasts + len(level.sets))
        self._lasts = [at for at in pieces[:lasts] if self._height + at in needed]
        self._sets = [at for at in pieces[lasts:] if self._height + at in needed]

        # Times lie in the store as microseconds, and become times again once they are finished.
        time_names = {column.name for column in source.columns if column.dtype == "datetime"}
        self._columns = []
        self._times = []
        for read in reads:
            state = level.states[read.states[0]]
            if read.aggregate == "last" and state.of in time_names:
                self._times.append((read.name, read.states[0]))
            else:
                finish = AGGREGATES[read.aggregate].finish
                self._columns.append((read.name, finish, itemgetter(*read.states)))

    def read(
        self, view: EntityView, opens: list[OpenVersion], moment: int, values: dict[str, Value]
    ) -> None:
        """Add the columns at a moment to the values of a row."""
        over = self._over
        left = -math.inf if over is None else (moment - over) // self._hop * self._hop
        first = 0 if over is None else bisect_left(view.starts, left)
        states = self._merge_tiles(view, first)
        for one in opens:
            if one.time >= left:
                self._accumulator.add(states, one.time, one.sequence, one.values)
        if self._sets:
            self._add_sketches(view, first, states)
        for name, finish, pick in self._columns:
            values[name] = finish(pick(states), moment)
        for name, state in self._times:
            last = states[state]
            values[name] = None if last is None else to_datetime(last[2])

    def _merge_tiles(self, view: EntityView, first: int) -> list[Any]:
        """Merge the states of the tiles from number `first` on.

        States that no column needs may be those of no event.
        """
        states = self._accumulator.empty()
        count = view.count - first
        if count <= 0:
            return states
        # One tile, as that of a stored value, needs no array.
        if count == 1:
            states[: self._height] = view.column(first)
        else:
            numbers = view.numbers()
            for reduce, rows in self._reduce:
                states[rows] = reduce(numbers[rows, first:], axis=1).tolist()
        for at in self._lasts:
            states[self._height + at] = view.last(at, first)
        return states

    def _add_sketches(self, view: EntityView, first: int, states: list[Any]) -> None:
        """Replace each set of open values by the sketches of the tiles and the one of these."""
        for at in self._sets:
            of_open = np.array(sorted(states[self._height + at]), np.uint64)
            sketches = view.sketches(at, first) if view.count else []
            states[self._height + at] = [*sketches, of_open]


_REDUCE: dict[Merge, Any] = {
    "add": np.add.reduce,
    "largest": np.fmax.reduce,
    "smallest": np.fmin.reduce,
}
