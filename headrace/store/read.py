"""Reading the windows of a row from the store: one round trip, whatever the number of windows."""

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

    It follows the store: what was pushed is seen by the next read, and so is a store that was
    filled anew. Raises `InputError` where the store was never filled.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generation = -1
        self._stands: tuple[bytes | None, int] = (
            b"",
            0,
        )  # what the store said last, and the horizon in it
        self._groups: list[_GroupReader] = []
        self._follow(read_state(store))

    def row(self, row: Mapping[str, Any], moment: int) -> dict[str, Value]:
        """The windows' columns of one row; `moment` in microseconds since 1970 UTC.

        The store tells no past: a moment before its horizon, the latest moment that it knows of, is
        read as that.
        """
        return self.rows([row], [moment])[0]

    def rows(
        self, rows: Sequence[Mapping[str, Any]], moments: Sequence[int]
    ) -> list[dict[str, Value]]:
        """The same of several rows, in one round trip too.

        An entity whose bytes are damaged has no columns, and spoils no other.
        """
        groups = self._groups
        keys: list[bytes] = [STATE]
        for row in rows:
            for group in groups:
                keys.append(group.key(row))
        blobs = self._store.read(keys)
        said, horizon = self._stands
        if blobs[0] != said:
            stand = _decoded(blobs[0])
            if stand.generation != self._generation:
                self._follow(stand)
                return self.rows(rows, moments)
            horizon = stand.horizon
            self._stands = (blobs[0], horizon)
        place, told = 1, []
        for moment in moments:
            found: dict[str, Value] = {}
            seen = moment if moment > horizon else horizon
            for group in groups:
                try:
                    group.read(blobs[place], seen, found)
                except DECODE_ERRORS:
                    group.forget(found)
                place += 1
            told.append(found)
        return told

    def names(self, rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
        """What the entities of rows are called: those of the first row, then those of the next;
        none where a key is missing. Raises `InputError` for a value that is no such key.
        """
        groups = self._groups
        return [group.name(row) for row in rows for group in groups]

    @property
    def horizon(self) -> int:
        """The latest moment that the store knew of when it was last read (microseconds since 1970 UTC)."""
        return self._stands[1]

    @property
    def layout(self) -> Layout:
        """What the store keeps."""
        return self._layout

    def _follow(self, stand: StoreState) -> None:
        self._layout = read_layout(self._store, stand)
        self._groups = [
            _GroupReader(group, self._layout.sources[group.events], group_prefix(stand.prefix, at))
            for at, group in enumerate(self._layout.groups)
        ]
        self._generation = stand.generation


def read_state(store: Store) -> StoreState:
    """Where a store stands; raises `InputError` where it was never filled."""
    return _decoded(store.read([STATE])[0])


def read_layout(store: Store, stand: StoreState) -> Layout:
    """What a store keeps."""
    (value,) = store.read([layout_key(stand.prefix)])
    do = "`headrace materialize DIR` fills it anew"
    try:
        found = msgspec.json.decode(value or b"", type=dict[str, Any]).get("format", FORMAT)
        check_format(WorkError, "the online store", found, FORMAT, do)
        return msgspec.json.decode(value or b"", type=Layout)
    except DECODE_ERRORS:
        raise WorkError(
            "the online store", "damaged: it does not say what it keeps", "a filled one", do
        ) from None


def _decoded(said: bytes | None) -> StoreState:
    if said is None:
        do = "headrace materialize DIR fills it"
        raise EmptyStoreError("the online store", "nothing in it yet", "a filled one", do)
    try:
        return StoreState.decode(said)
    except DECODE_ERRORS:
        do = "`headrace materialize DIR` fills it anew"
        raise WorkError(
            "the online store", "damaged: it does not say where it stands", "a filled one", do
        ) from None


class _GroupReader:
    """Reads the columns of one group from the bytes of an entity."""

    def __init__(self, group: Group, source: EventSource, prefix: bytes) -> None:
        self._prefix, self._codec, self.name = prefix, Codec(group), make_row_namer(group)
        spans: dict[tuple[int, int | None], list[WindowRead]] = {}
        for read in group.reads:
            spans.setdefault((read.level, read.over), []).append(read)
        self._spans = [
            _Span(at, over, group.levels[at], source, reads) for (at, over), reads in spans.items()
        ]
        self._empty = {read.name: AGGREGATES[read.aggregate].EMPTY for read in group.reads}

    def key(self, row: Mapping[str, Any]) -> bytes:
        """Where the entity of a row stands; where nothing does for one that misses a key."""
        name = self.name(row)
        return self._prefix if name is None else self._prefix + shorten(name.encode())

    def forget(self, found: dict[str, Value]) -> None:
        """Takes back what was found of an entity."""
        for name in self._empty:
            found.pop(name, None)

    def read(self, blob: bytes | None, moment: int, found: dict[str, Value]) -> None:
        if blob is None:
            found.update(self._empty)
            return
        views, opens = self._codec.decode(blob)
        seen = (
            [one for one in opens if one.visible_from <= moment < one.replaced] if opens else opens
        )
        for span in self._spans:
            span.read(views[span.level], seen, moment, found)


class _Span:
    """How the columns are read whose windows reach equally far: the states of the tiles, and of them the values."""

    def __init__(
        self, at: int, over: int | None, level: Level, source: EventSource, reads: list[WindowRead]
    ) -> None:
        self.level, self._over, self._hop, self._accumulator = (
            at,
            over,
            level.hop,
            Accumulator(level, source),
        )
        needed = {state for read in reads for state in read.states}
        self._height, lasts = len(level.numbers), len(level.lasts)
        self._reduce = []
        merges = [NUMBER_STATES[state.kind].merge for state in level.numbers]
        for merge, reduce in _REDUCE.items():
            rows = [row for row, one in enumerate(merges) if one == merge and row in needed]
            if rows:
                self._reduce.append((reduce, slice(rows[0], rows[-1] + 1)))
        self._lasts = [at for at in range(lasts) if self._height + at in needed]
        self._sets = [
            at for at in range(lasts, lasts + len(level.sets)) if self._height + at in needed
        ]
        times = {column.name for column in source.columns if column.dtype == "datetime"}
        self._columns = [
            (read.name, AGGREGATES[read.aggregate].finish, itemgetter(*read.states))
            for read in reads
            if read.aggregate != "last" or level.states[read.states[0]].of not in times
        ]
        self._times = [
            (read.name, read.states[0])
            for read in reads
            if read.name not in {one[0] for one in self._columns}
        ]

    def read(
        self, view: EntityView, opens: list[OpenVersion], moment: int, found: dict[str, Value]
    ) -> None:
        over = self._over
        left = -math.inf if over is None else (moment - over) // self._hop * self._hop
        first = 0 if over is None else bisect_left(view.starts, left)
        states = self._states(view, first)
        for one in opens:
            if one.time >= left:
                self._accumulator.add(states, one.time, one.sequence, one.values)
        if self._sets:
            self._join(view, first, states)
        for name, finish, pick in self._columns:
            found[name] = finish(pick(states), moment)
        for name, state in self._times:
            last = states[state]
            found[name] = None if last is None else to_datetime(last[2])

    def _states(self, view: EntityView, first: int) -> list[Any]:
        """The states of the tiles from one on; those that no column needs are of nothing."""
        states = self._accumulator.empty()
        count = view.count - first
        if count <= 0:
            return states
        if count == 1:
            states[: self._height] = view.column(first)
        else:
            numbers = view.numbers()
            for reduce, rows in self._reduce:
                states[rows] = reduce(numbers[rows, first:], axis=1).tolist()
        for at in self._lasts:
            states[self._height + at] = view.last(at, first)
        return states

    def _join(self, view: EntityView, first: int, states: list[Any]) -> None:
        """Puts the sketches of the tiles beside the values that are still open."""
        for at in self._sets:
            fresh = np.array(sorted(states[self._height + at]), np.uint64)
            states[self._height + at] = [*(view.sketches(at, first) if view.count else []), fresh]


_REDUCE: dict[Merge, Any] = {
    "add": np.add.reduce,
    "largest": np.fmax.reduce,
    "smallest": np.fmin.reduce,
}
