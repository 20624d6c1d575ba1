"""Reading the windows of a row from the store: one round trip, whatever the number of windows."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
import polars as pl

from millrace.errors import InputError
from millrace.events import sketch
from millrace.events.blob import Form, Open, View
from millrace.events.layout import Group, Layout, Level, Read, Source, State
from millrace.events.names import STAND, Stand, entity_key, layout_key, name_of
from millrace.events.store import Store
from millrace.events.where import Condition, condition

_EPOCH = datetime(1970, 1, 1)
Value = Any


class Reader:
    """Reads the windows of rows as of a moment.

    It follows the store: what was pushed is seen by the next read, and so is a store that was filled anew. Raises
    `InputError` where the store was never filled.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generation = -1
        self._groups: list[_GroupReader] = []
        self._follow(stand_of(store))

    def row(self, row: Mapping[str, Any], moment: int) -> dict[str, Value]:
        """The windows' columns of one row; `moment` in microseconds since 1970 UTC.

        The store tells no past: a moment before its horizon, the latest moment that it knows of, is read as that.
        """
        prefix = self._prefix
        names = [name_of(group.group, row) for group in self._groups]
        keys = [entity_key(prefix, at, name) for at, name in enumerate(names) if name is not None]
        said, *blobs = self._store.read([STAND, *keys])
        stand = _decoded(said)
        if stand.generation != self._generation:
            self._follow(stand)
            return self.row(row, moment)
        moment = max(moment, stand.horizon)
        found: dict[str, Value] = {}
        rest = iter(blobs)
        for group, name in zip(self._groups, names, strict=True):
            group.read(None if name is None else next(rest), moment, found)
        return found

    def rows(self, rows: Sequence[Mapping[str, Any]], moments: Sequence[int]) -> list[dict[str, Value]]:
        """The same of several rows."""
        return [self.row(row, moment) for row, moment in zip(rows, moments, strict=True)]

    @property
    def layout(self) -> Layout:
        """What the store keeps."""
        return self._layout

    def _follow(self, stand: Stand) -> None:
        self._prefix = stand.prefix
        self._layout = layout_in(self._store, stand)
        self._groups = [_GroupReader(group, self._layout.sources[group.events]) for group in self._layout.groups]
        self._generation = stand.generation


def stand_of(store: Store) -> Stand:
    """Where a store stands; raises `InputError` where it was never filled."""
    return _decoded(store.read([STAND])[0])


def layout_in(store: Store, stand: Stand) -> Layout:
    """What a store keeps."""
    (value,) = store.read([layout_key(stand.prefix)])
    return msgspec.json.decode(value or b"", type=Layout)


def _decoded(said: bytes | None) -> Stand:
    if said is None:
        raise InputError("the online store", "nothing in it yet", "a filled one", "millrace materialize DIR fills it")
    return Stand.decode(said)


class _GroupReader:
    """Reads the columns of one group from the bytes of an entity."""

    def __init__(self, group: Group, source: Source) -> None:
        self.group, self._form = group, Form(group)
        self._columns = [_Column(read, group.levels[read.level], source) for read in group.reads]

    def read(self, blob: bytes | None, moment: int, found: dict[str, Value]) -> None:
        if blob is None:
            for column in self._columns:
                found[column.name] = column.empty
            return
        views, opens = self._form.read(blob)
        seen = [one for one in opens if one.known <= moment < one.replaced] if opens else opens
        for column in self._columns:
            found[column.name] = column.value(views[column.level], seen, moment)


class _Column:
    """How one column is read: its states from the tiles of the window, and of them its value."""

    def __init__(self, read: Read, level: Level, source: Source) -> None:
        self.name, self.level = read.name, read.level
        self._over, self._hop = read.over, level.hop
        states = [level.states[at] for at in read.states]
        self._fetch = [_fetcher(level, state) for state in states]
        self._states = [(state, _counts(state, source)) for state in states]
        self._finish = _FINISH[read.aggregate]
        self._is_time = read.aggregate == "last" and any(
            column.name == states[0].of and column.dtype == "datetime" for column in source.columns
        )
        self.empty = 0 if read.aggregate == "count" else 0.0 if read.aggregate == "sum" else None

    def value(self, view: View, opens: list[Open], moment: int) -> Value:
        over, hop = self._over, self._hop
        if over is None:
            left, first = None, 0
        else:
            left = (moment - over) // hop * hop
            first = int(view.starts.searchsorted(left))
        states = [fetch(view, first) for fetch in self._fetch]
        for one in opens:
            if left is None or one.time >= left:
                for at, (state, counts) in enumerate(self._states):
                    counted, value = counts(one.values)
                    if counted:
                        states[at] = _with(state.kind, states[at], one, value)
        found = self._finish(states, moment)
        return _EPOCH + timedelta(microseconds=found) if self._is_time and found is not None else found


def _fetcher(level: Level, state: State) -> Callable[[View, int], Any]:
    """A state of the tiles from one on."""
    if state.kind == "last":
        at = level.lasts.index(state)
        return lambda view, first: view.last(at, first)
    if state.kind == "distinct":
        at = len(level.lasts) + level.sets.index(state)
        return lambda view, first: view.sketches(at, first)
    at = level.numbers.index(state)
    if state.kind in ("count", "sum"):
        add = np.add.reduce
        return lambda view, first: add(view.numbers[at, first:])
    reduce = np.fmin.reduce if state.kind == "min" else np.fmax.reduce

    def extreme(view: View, first: int) -> Any:
        found = reduce(view.numbers[at, first:], initial=math.nan)
        return None if math.isnan(found) else found

    return extreme


def _counts(state: State, source: Source) -> Callable[[list[Any]], tuple[bool, Any]]:
    """Whether a state counts an open event, and the value that it is of."""
    where: Condition | None = condition(state.where, "", source.plain) if state.where else None
    of = itemgetter(source.values.index(state.of)) if state.of else None

    def counts(values: list[Any]) -> tuple[bool, Any]:
        value = of(values) if of else None
        if of and value is None:
            return False, None
        return where is None or where.holds(dict(zip(source.values, values, strict=True))), value

    return counts


def _with(kind: str, state: Any, one: Open, value: Any) -> Any:
    """A state, and an event that it counts."""
    match kind:
        case "count":
            return state + 1.0
        case "sum":
            return state + value
        case "min":
            return float(value) if state is None else min(state, float(value))
        case "max":
            return float(value) if state is None else max(state, float(value))
        case "time":
            return one.time if state is None else max(state, one.time)
        case "last":
            latest = (one.time, one.place, value)
            return latest if state is None else max(state, latest)
        case _:
            return [*state, sketch.hashes(pl.Series([value]))]


def _mean(states: list[Any], moment: int) -> float | None:
    total, count = states
    return float(total / count) if count else None


def _number(states: list[Any], moment: int) -> float | None:
    return None if states[0] is None else float(states[0])


_FINISH: dict[str, Callable[[list[Any], int], Value]] = {
    "count": lambda states, moment: int(states[0]),
    "sum": lambda states, moment: float(states[0]),
    "mean": _mean,
    "rate": _mean,
    "min": _number,
    "max": _number,
    "last": lambda states, moment: None if states[0] is None else states[0][2],
    "distinct": lambda states, moment: sketch.size(states[0]) or None,
    "since": lambda states, moment: None if states[0] is None else (moment - float(states[0])) / 1e6,
}
