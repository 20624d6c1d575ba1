"""What the online store keeps of events so that every window of a spec can be read from it."""

from collections.abc import Mapping

import polars as pl
from msgspec import Struct, structs

from headrace.clock import DAY_US
from headrace.errors import InputError
from headrace.spec import EventTable, Window, duration_us
from headrace.tables import POLARS, Column, Dtype
from headrace.windows import check_window, condition_columns, hop_us, window_columns, window_keys
from headrace.windows.aggregates import AGGREGATES, NUMBER_STATES
from headrace.windows.states import MERGES, State

_ALL_US = 30 * DAY_US
"""The width of the tiles of `over: all`."""


Origins = Mapping[tuple[str, str], float]
"""By the names of a table of events and of its column."""


class Level(Struct, frozen=True):
    """Tiles of one width, `hop` microseconds, and how far back they are read (`most`; none: for
    ever).

    States stand in three lists: those that are numbers, the last values, the sets of different
    values.
    """

    hop: int
    most: int | None
    numbers: list[State]
    lasts: list[State]
    sets: list[State]

    @property
    def states(self) -> list[State]:
        """All of them, in the order of the lists."""
        return [*self.numbers, *self.lasts, *self.sets]

    def least_start(self, moment: int) -> int | None:
        """The first tile that a row at the moment, or later, reads."""
        return None if self.most is None else (moment - self.most) // self.hop * self.hop


class WindowRead(Struct, frozen=True):
    """How a window's column is read: from which level, how far back (none: for ever), which of its states."""

    name: str
    aggregate: str
    level: int
    over: int | None
    states: list[int]


class Group(Struct, frozen=True):
    """The windows over the events of one table by one key, which are kept, and read, together."""

    events: str
    keys: list[str]
    dtypes: list[Dtype]
    levels: list[Level]
    reads: list[WindowRead]


class EventSource(Struct, frozen=True):
    """A table of events: what the spec says of it, its columns that are needed, those of them that
    windows read (`values`), how far back that is (none: for ever), and up to when history told of
    it (`watermark`; microseconds).
    """

    table: EventTable
    columns: list[Column]
    values: list[str]
    most: int | None
    watermark: int = 0

    @property
    def plain(self) -> dict[str, pl.DataType]:
        """The types of the values as they are kept: times are whole numbers, microseconds since 1970 UTC."""
        dtypes = {column.name: column.dtype for column in self.columns}
        return {
            name: POLARS["integer" if dtypes[name] == "datetime" else dtypes[name]]
            for name in self.values
        }


FORMAT = 1
"""The format of a filled store: of its keys and of the values under them."""


class Layout(Struct, frozen=True):
    """What is kept of every table, and in which groups."""

    sources: dict[str, EventSource]
    groups: list[Group]
    format: int = FORMAT

    def of(self, events: str) -> list[tuple[int, Group]]:
        """The groups of a table, with their numbers."""
        return [
            (number, group) for number, group in enumerate(self.groups) if group.events == events
        ]

    @property
    def columns(self) -> dict[str, WindowRead]:
        """Every column of a window, by its name."""
        return {read.name: read for group in self.groups for read in group.reads}

    @property
    def keys(self) -> list[str]:
        """The columns that a row needs, so that its windows can be read."""
        return list(dict.fromkeys(key for group in self.groups for key in group.keys))


def build_layout(
    windows: list[Window],
    tables: Mapping[str, EventTable],
    rows: Mapping[str, pl.DataType],
    events: Mapping[str, list[Column]],
    origins: Origins | None = None,
) -> Layout:
    """The layout for some windows.

    Parameters: what the spec says of its event `tables`; the types of the `rows`' columns; the
    columns of each table of `events`; about where the values of columns lie, for aggregates of
    squares. Raises `InputError` as `add_windows` does.
    """
    needed: dict[str, set[str]] = {}
    groups: dict[tuple[str, ...], list[Window]] = {}
    for window in windows:
        schema = {
            column.name: POLARS.get(column.dtype, pl.Object)
            for column in events.get(window.events, [])
        }
        check_window(window, rows, {window.events: schema} if window.events in events else {})
        groups.setdefault((window.events, *window_keys(window)), []).append(window)
        used = {
            *window_keys(window),
            *([window.of] if window.of else []),
            *condition_columns(window.where),
        }
        needed.setdefault(window.events, set()).update(used)
    made = []
    for (name, *keys), some in groups.items():
        levels, reads = _levels(some, origins or {})
        made.append(Group(name, keys, [_key_dtype(key, rows[key]) for key in keys], levels, reads))
    sources = {}
    for name, used in needed.items():
        reach = [level.most for group in made if group.events == name for level in group.levels]
        most = None if None in reach else max(one or 0 for one in reach) + max(_hops(made, name))
        special = {tables[name].time, tables[name].id, tables[name].available, tables[name].deleted}
        kept = [column for column in events[name] if column.name in used | special]
        sources[name] = EventSource(tables[name], kept, sorted(used), most)
    return Layout(sources, made)


def _hops(groups: list[Group], name: str) -> list[int]:
    return [level.hop for group in groups if group.events == name for level in group.levels]


def _key_dtype(key: str, dtype: pl.DataType) -> Dtype:
    names: list[Dtype] = [name for name, polars in POLARS.items() if dtype == polars]
    if not names or names[0] == "number":
        raise InputError(
            f"the key {key!r}",
            f"a column of {dtype}",
            "text, whole numbers, times or true and false",
        )
    return names[0]


def _levels(windows: list[Window], origins: Origins) -> tuple[list[Level], list[WindowRead]]:
    levels: dict[tuple[int, bool], tuple[list[int], list[State]]] = {}
    asked: list[tuple[str, str, tuple[int, bool], int | None, list[State]]] = []
    for window in windows:
        for name, over in zip(window_columns(window), window.over, strict=True):
            forever = over == "all"
            level = (_ALL_US if forever else hop_us(window, over) or 1, forever)
            reach, kept = levels.setdefault(level, ([], []))
            states = _with_origins(
                AGGREGATES[window.aggregate].states(window.of, window.where), window, origins
            )
            reach += [] if forever else [duration_us(over)]
            kept += [state for state in states if state not in kept]
            asked.append(
                (name, window.aggregate, level, None if forever else duration_us(over), states)
            )
    made = []
    for (hop, forever), (reach, kept) in levels.items():
        of = {
            kind: [state for state in kept if state.kind == kind] for kind in ("last", "distinct")
        }
        numbers = sorted((state for state in kept if state.kind not in of), key=_merge_order)
        made.append(
            Level(hop, None if forever else max(reach), numbers, of["last"], of["distinct"])
        )
    order = list(levels)
    reads = [
        WindowRead(
            name,
            aggregate,
            order.index(level),
            over,
            [made[order.index(level)].states.index(one) for one in states],
        )
        for name, aggregate, level, over, states in asked
    ]
    return made, reads


def _with_origins(states: list[State], window: Window, origins: Origins) -> list[State]:
    """States whose kind counts from an origin, with that of their column."""
    return [
        structs.replace(state, origin=origins.get((window.events, state.of or ""), 0.0))
        if state.kind in NUMBER_STATES and NUMBER_STATES[state.kind].from_origin
        else state
        for state in states
    ]


def _merge_order(state: State) -> int:
    """Lets states that merge alike stand side by side, so that tiles are reduced in one call."""
    return MERGES.index(NUMBER_STATES[state.kind].merge)
