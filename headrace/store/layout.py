"""The layout of the online store: the states from which every window of a spec can be read.

Windows over one table by one key form a group. An entity is one value of that key, and the store
holds its bytes of one group under one key. Within a group, windows with tiles of one width share a
level, and a level holds every partial state from which one of its windows is finished:

    group      clicks by user
    level        tiles of 5 min, read 1 h back     states: count, sum of price
    level        tiles of 1 h, read 7 d back       states: count, sum of price, last item
    columns    spent_1h      <- level 0: sum of price
               spent_7d      <- level 1: sum of price
               average_7d    <- level 1: sum of price, count
"""

from collections.abc import Mapping

import polars as pl
from msgspec import Struct, field, structs

from headrace.clock import DAY_US
from headrace.errors import InputError
from headrace.spec import EventTable, Window, parse_duration_us
from headrace.tables import POLARS, Column, Dtype
from headrace.windows import (
    check_window,
    find_hop_us,
    list_columns,
    list_condition_columns,
    list_keys,
)
from headrace.windows.aggregates import AGGREGATES, NUMBER_STATES
from headrace.windows.states import MERGES, State

_ALL_US = 30 * DAY_US
"""The width of the tiles of `over: all`."""


Origins = Mapping[tuple[str, str], float]
"""From which origin the values of a column are counted, by the names of its table and its own."""


class Level(Struct, frozen=True):
    """Tiles of one width, `hop` microseconds.

    `most` is how far back they are read, in microseconds; none: without end. A tile holds three
    lists of states: those that are numbers, last values, and sets of different values.
    """

    hop: int
    most: int | None
    numbers: list[State]
    lasts: list[State]
    sets: list[State]

    @property
    def states(self) -> list[State]:
        """All states, in the order of the three lists."""
        return [*self.numbers, *self.lasts, *self.sets]

    def least_start(self, moment: int) -> int | None:
        """Return the start of the first tile that a row at the moment, or later, reads.

        >>> level = Level(hop=5, most=10, numbers=[], lasts=[], sets=[])
        >>> level.least_start(23)
        10
        """
        return None if self.most is None else (moment - self.most) // self.hop * self.hop


class WindowRead(Struct, frozen=True):
    """The way in which the column of a window is read.

    `level` is the number of its level in the group, `over` how far back it reaches in microseconds
    (none: without end), and `states` the numbers of its states in `Level.states`.
    """

    name: str
    aggregate: str
    level: int
    over: int | None
    states: list[int]


class Group(Struct, frozen=True):
    """The windows over one table of events by one key: they are stored and read together."""

    events: str
    keys: list[str]
    dtypes: list[Dtype]
    levels: list[Level]
    reads: list[WindowRead]


class EventSource(Struct, frozen=True):
    """A table of events, as the store takes it.

    `table` is what the spec says of it; `columns` are the columns that are needed, and `values` the
    names of those that windows read. Raw events are needed for `most` microseconds (none: without
    end). `watermark` is the time up to which history counts (microseconds).
    """

    table: EventTable
    columns: list[Column]
    values: list[str]
    most: int | None
    watermark: int = 0

    @property
    def plain(self) -> dict[str, pl.DataType]:
        """The types of the values in the store: times are microseconds since 1970 UTC."""
        dtypes = {column.name: column.dtype for column in self.columns}
        return {
            name: POLARS["integer" if dtypes[name] == "datetime" else dtypes[name]]
            for name in self.values
        }


FORMAT = 1
"""The format of a filled store: of its keys and of the values under them."""


class Layout(Struct, frozen=True):
    """The layout of a store: tables of events by name, and groups of windows over them."""

    sources: dict[str, EventSource]
    groups: list[Group]
    format: int = FORMAT

    def find_groups(self, events: str) -> list[tuple[int, Group]]:
        """Find the groups over a table of events, with their numbers."""
        return [
            (number, group) for number, group in enumerate(self.groups) if group.events == events
        ]

    @property
    def columns(self) -> dict[str, WindowRead]:
        """Every column of a window, by its name."""
        columns = {}
        for group in self.groups:
            for read in group.reads:
                columns[read.name] = read
        return columns

    @property
    def keys(self) -> list[str]:
        """The columns that a row needs, so that its windows can be read."""
        names: dict[str, None] = {}
        for group in self.groups:
            names |= dict.fromkeys(group.keys)
        return list(names)


def build_layout(
    windows: list[Window],
    tables: Mapping[str, EventTable],
    rows: Mapping[str, pl.DataType],
    events: Mapping[str, list[Column]],
    origins: Origins | None = None,
) -> Layout:
    """Build the layout for the windows of a spec.

    Parameters: the event `tables` as the spec describes them; `rows`, the types of the columns of
    rows; `events`, the columns of each event table; `origins`, for aggregates of squares. Raises
    `InputError` as `add_windows` does.

    >>> clicks = [
    ...     Column(name="at", dtype="datetime", kind="datetime"),
    ...     Column(name="user", dtype="string", kind="categorical"),
    ... ]
    >>> window = Window(name="clicks", events="e", key="user", over=["30min", "1h", "7d"])
    >>> table = EventTable(source="clicks.parquet", time="at")
    >>> layout = build_layout([window], {"e": table}, {"user": pl.String()}, {"e": clicks})
    >>> [(level.hop // 60_000_000, level.most // 60_000_000) for level in layout.groups[0].levels]
    [(5, 60), (60, 10080)]
    >>> [(read.name, read.level, read.states) for read in layout.groups[0].reads]
    [('clicks_30min', 0, [0]), ('clicks_1h', 0, [0]), ('clicks_7d', 1, [0])]
    """
    used: dict[str, set[str]] = {}
    windows_of: dict[tuple[str, ...], list[Window]] = {}
    for window in windows:
        schemas = {}
        if window.events in events:
            schemas[window.events] = _polars_schema(events[window.events])
        check_window(window, rows, schemas)
        windows_of.setdefault((window.events, *list_keys(window)), []).append(window)
        used.setdefault(window.events, set()).update(_columns_used(window))

    # Windows of one key are read together, so they share a group.
    groups = []
    for (name, *keys), members in windows_of.items():
        levels, reads = _build_levels(members, origins or {})
        dtypes = [_key_dtype(key, rows[key]) for key in keys]
        groups.append(Group(name, keys, dtypes, levels, reads))

    # Events may have many more columns than something needs.
    sources = {}
    for name, names in used.items():
        table = tables[name]
        needed = names | {table.time, table.id, table.available, table.deleted}
        columns = [column for column in events[name] if column.name in needed]
        sources[name] = EventSource(table, columns, sorted(names), _longest_reach(groups, name))
    return Layout(sources, groups)


def _polars_schema(columns: list[Column]) -> dict[str, pl.DataType]:
    return {column.name: POLARS.get(column.dtype, pl.Object) for column in columns}


def _columns_used(window: Window) -> set[str]:
    """Return the columns of events that a window reads."""
    names = {*list_keys(window), *list_condition_columns(window.where)}
    if window.of:
        names.add(window.of)
    return names


def _longest_reach(groups: list[Group], name: str) -> int | None:
    """Return how long raw events of a table are needed; none: without end.

    The first tile of a window begins up to one width before the window does, and a correction
    builds the whole tile again.
    """
    levels: list[Level] = []
    for group in groups:
        if group.events == name:
            levels += group.levels
    longest = 0
    for level in levels:
        if level.most is None:
            return None
        longest = max(longest, level.most)
    return longest + max(level.hop for level in levels)


def _key_dtype(key: str, dtype: pl.DataType) -> Dtype:
    names: list[Dtype] = [name for name, polars in POLARS.items() if dtype == polars]
    # Two fractions that should be equal may differ by rounding, so none is a key.
    if not names or names[0] == "number":
        raise InputError(
            f"the key {key!r}",
            f"a column of {dtype}",
            "text, whole numbers, times or true and false",
        )
    return names[0]


_LevelKey = tuple[int, bool]
"""The width of tiles in microseconds, and whether they are read without end."""


class _LevelNeeds(Struct):
    """The needs of the windows of one level: how far back they reach, and which states."""

    reaches: list[int] = field(default_factory=list)
    states: list[State] = field(default_factory=list)


class _ColumnNeeds(Struct):
    """The needs of the column of one window."""

    name: str
    aggregate: str
    level: _LevelKey
    over: int | None
    states: list[State]


def _build_levels(windows: list[Window], origins: Origins) -> tuple[list[Level], list[WindowRead]]:
    """Build the levels that some windows share, and say how each of their columns is read."""
    needs: dict[_LevelKey, _LevelNeeds] = {}
    columns: list[_ColumnNeeds] = []
    for column in _list_columns(windows, origins):
        columns.append(column)
        level = needs.setdefault(column.level, _LevelNeeds())
        level.states += [state for state in column.states if state not in level.states]
        if column.over is not None:
            level.reaches.append(column.over)

    levels = [_build_level(key, level) for key, level in needs.items()]
    numbers = {key: number for number, key in enumerate(needs)}
    reads = []
    for column in columns:
        number = numbers[column.level]
        states = [levels[number].states.index(state) for state in column.states]
        reads.append(WindowRead(column.name, column.aggregate, number, column.over, states))
    return levels, reads


def _list_columns(windows: list[Window], origins: Origins) -> list[_ColumnNeeds]:
    columns = []
    for window in windows:
        aggregate = window.aggregate
        states = AGGREGATES[aggregate].states(window.of, window.where)
        states = [_with_origin(state, window, origins) for state in states]
        for name, over in zip(list_columns(window), window.over, strict=True):
            if over == "all":
                columns.append(_ColumnNeeds(name, aggregate, (_ALL_US, True), None, states))
                continue
            # An exact window has tiles of a microsecond: each event is a tile of its own.
            level = (find_hop_us(window, over) or 1, False)
            columns.append(_ColumnNeeds(name, aggregate, level, parse_duration_us(over), states))
    return columns


def _build_level(key: _LevelKey, needs: _LevelNeeds) -> Level:
    hop, is_endless = key
    lasts = []
    sets = []
    numbers = []
    for state in needs.states:
        if state.kind == "last":
            lasts.append(state)
        elif state.kind == "distinct":
            sets.append(state)
        else:
            numbers.append(state)
    # States that merge alike lie side by side, so that a read reduces them in one call.
    numbers.sort(key=lambda state: MERGES.index(NUMBER_STATES[state.kind].merge))
    return Level(hop, None if is_endless else max(needs.reaches), numbers, lasts, sets)


def _with_origin(state: State, window: Window, origins: Origins) -> State:
    """Return the state with the origin of its column, where its kind counts from one."""
    if state.kind not in NUMBER_STATES or not NUMBER_STATES[state.kind].from_origin:
        return state
    return structs.replace(state, origin=origins.get((window.events, state.of or ""), 0.0))
