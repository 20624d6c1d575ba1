"""The offline join: the windows before each row, vectorised over rows and events.

A row sees no event that was not known at its time. `README.md` in this folder defines windows. The
work goes from broad to narrow:

    rows, event tables
      -> parts              rows and events of some keys; a thread takes one at a time
      -> candidates         the events of a part that a row would see in an endless window
      -> ranges             the rows that see each of them in one window
      -> columns            one aggregate of what each row sees
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace.arrays import Integers, Mask
from headrace.errors import InputError
from headrace.spec import AGGREGATES as AGGREGATE_ROWS
from headrace.spec import EventTable, Window, parse_duration_us
from headrace.windows.aggregates import AGGREGATES
from headrace.windows.condition import list_condition_columns, parse_condition
from headrace.windows.history import NEVER, History, build_history, convert_times
from headrace.windows.partition import Partition, Partitions, partition_by_key
from headrace.windows.row_ranges import RowRanges, RowTimes
from headrace.windows.visible import VisibleEvents
from headrace.windows.window import check_window, find_hop_us, list_columns, list_keys


def add_windows(
    frame: pl.DataFrame,
    windows: list[Window],
    events: Mapping[str, pl.DataFrame],
    time: str | None,
    tables: Mapping[str, EventTable],
) -> pl.DataFrame:
    """Append the columns of every window to the rows.

    Parameters: `frame (N rows)`, with the column `time` and the key columns; `events`, the event
    tables by name; `tables`, the roles of their columns. Raises `InputError`, with the name of the
    window, if a column is missing or does not suit.

    >>> rows = pl.DataFrame({"user": ["a", "b"], "now": [60_000_001, 60_000_001]})
    >>> clicks = pl.DataFrame({"user": ["a", "a"], "at": [1_000_000, 60_000_000]})
    >>> add_windows(
    ...     rows.cast({"now": pl.Datetime("us")}),
    ...     [Window(name="clicks", events="clicks", key="user", over=["1min", "1s"], hop="0s")],
    ...     {"clicks": clicks.cast({"at": pl.Datetime("us")})},
    ...     "now",
    ...     {"clicks": EventTable(source="", time="at")},
    ... )["clicks_1min", "clicks_1s"].rows()
    [(2, 1), (0, 0)]
    """
    times = _check_windows(frame, windows, events, time)
    groups: dict[tuple[str, ...], list[Window]] = {}
    for window in windows:
        groups.setdefault((window.events, *list_keys(window)), []).append(window)

    histories: dict[str, History] = {}
    columns: dict[str, pl.Series] = {}
    for (name, *keys), group in groups.items():
        if name not in histories:
            histories[name] = build_history(events[name], tables[name], f"data.events.{name}")
        row_keys = frame.select(cs.by_name(*keys))
        partitions = partition_by_key(row_keys, times, histories[name])
        columns |= _compute_columns(group, histories[name], partitions)
    return frame.with_columns(columns[name] for name in _list_columns(windows))


def _check_windows(
    frame: pl.DataFrame,
    windows: list[Window],
    events: Mapping[str, pl.DataFrame],
    time: str | None,
) -> Integers:
    """Check that all windows can be computed; return the times of the rows `(N,)`, in microseconds.

    Without a window there are no times.
    """
    schemas = {name: table.schema for name, table in events.items()}
    times = np.empty(0, np.int64)
    for window in windows:
        where = check_window(window, frame.schema, schemas)
        if time is None:
            raise InputError(where, "data.time is not set", "the column with the time of each row")
        for name in list_columns(window):
            if name in frame.columns:
                found = f"the table already has a column {name!r}"
                raise InputError(where, found, "another window name")
        times = convert_times(frame[time], where)
    return times


def _list_columns(windows: list[Window]) -> list[str]:
    """List the columns that windows make, in their order."""
    names = []
    for window in windows:
        names += list_columns(window)
    return names


def _compute_columns(
    windows: list[Window], history: History, partitions: Partitions
) -> dict[str, pl.Series]:
    """Compute the columns of windows over the same events by the same keys.

    The columns `(N,)` are in the order in which the rows were given.
    """
    read: set[str] = set()
    for window in windows:
        read |= list_condition_columns(window.where)
        if window.of is not None:
            read.add(window.of)
    read &= set(history.frame.columns)

    def compute_part(part: Partition) -> list[pl.Series]:
        """Compute the columns for the rows of one part."""
        candidates = _find_candidates(part, history, sorted(read))
        columns = []
        for window in windows:
            columns += _compute_window(window, candidates)
        return columns

    # NumPy and Polars let go of the interpreter while they work, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        part_columns = list(pool.map(compute_part, partitions.parts))

    columns = {}
    pieces_of_columns = zip(*part_columns, strict=True)
    for name, pieces in zip(_list_columns(windows), pieces_of_columns, strict=True):
        columns[name] = pl.concat(pieces).gather(partitions.places).alias(name)
    return columns


class _Candidates(Struct, frozen=True):
    """The `M` events of a part that a row would see if windows had no end.

    `codes (M,)` are the numbers of their keys. `first (M,)` is the first row that would see an
    event, and `first_time (M,)` is the time of that row. Windows over the same events share what is
    in `ranges`.
    """

    rows: RowTimes
    history: History
    codes: Integers
    first: Integers
    first_time: Integers
    ranges: dict[tuple[object, ...], tuple[RowRanges, dict[str, Integers]]]


def _find_candidates(part: Partition, history: History, columns: list[str]) -> _Candidates:
    """Find the events of a part that are not replaced before a row could see them."""
    first = part.rows.first_at(part.codes, history.visible_from[part.events])
    first_time = part.rows.time_at(first, part.codes, NEVER)
    is_candidate = first_time < history.replaced[part.events]
    return _Candidates(
        part.rows,
        history.select(part.events[is_candidate], columns),
        part.codes[is_candidate],
        first[is_candidate],
        first_time[is_candidate],
        {},
    )


def _compute_window(window: Window, candidates: _Candidates) -> list[pl.Series]:
    """Compute the columns of one window for the rows of a part, in the order of the part."""
    history = candidates.history
    aggregate = AGGREGATE_ROWS[window.aggregate]
    of = window.of or ""
    counts = np.ones(len(history.time), bool)
    holds = counts
    if window.where is not None:
        condition = parse_condition(window.where, window.name, history.frame.schema)
        holds = condition.mask(history.frame).to_numpy()
    # A rate counts all events, and divides those for which its condition holds by them.
    if not aggregate.needs_where:
        counts = holds

    # Events without a value do not count. If there are none, windows without `of` share the ranges.
    with_holes = None
    if aggregate.of != "events" and history.frame[of].null_count():
        with_holes = of
        counts = counts & history.frame[of].is_not_null().to_numpy()

    columns = []
    where = None if aggregate.needs_where else window.where
    for over in window.over:
        # Windows that count the same events have the same ranges.
        key = (where, with_holes, over, window.hop)
        if key not in candidates.ranges:
            leaves = _leave_times(history.time, over, window)
            candidates.ranges[key] = (_find_ranges(candidates, counts, leaves), {})
        ranges, memo = candidates.ranges[key]
        visible = VisibleEvents(ranges, history, of, holds, candidates.rows.times, memo)
        columns.append(AGGREGATES[window.aggregate].offline(visible))
    return columns


def _find_ranges(candidates: _Candidates, counts: Mask, leaves: Integers) -> RowRanges:
    """Find the rows that see each event that counts, until it leaves the window or is replaced.

    Parameters: `counts (M,)`, the events that count; `leaves (M,)`, when each leaves the window.
    """
    leaves = np.minimum(leaves, candidates.history.replaced)
    # If the first row that could see an event comes too late, no row sees it.
    events = np.flatnonzero((candidates.first_time < leaves) & counts)
    first = candidates.first[events]
    last = candidates.rows.first_at(candidates.codes[events], leaves[events], first)
    return RowRanges(events, first, last, len(candidates.rows.times))


def _leave_times(time: Integers, over: str, window: Window) -> Integers:
    """Compute the time from which no row sees an event any more `(M,)`, in microseconds.

    It is the first `t` with `floor((t - over) / hop) * hop > time`.

    >>> window = Window(name="clicks", events="clicks", key="user", over=["2s"], hop="1s")
    >>> _leave_times(np.array([0, 999_999, 1_000_000]), "2s", window).tolist()
    [3000000, 3000000, 4000000]
    """
    if over == "all":
        return np.full(len(time), NEVER)
    span = parse_duration_us(over)
    hop = find_hop_us(window, over)
    if not hop:
        return time + span + 1
    return (time // hop + 1) * hop + span
