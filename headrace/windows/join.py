"""Windows before each row, vectorised: exact, no row loop, no event that was not known.

The exact meaning of a window is in `README.md` beside this file.
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
from headrace.spec import EventTable, Window, duration_us
from headrace.windows.aggregates import AGGREGATES
from headrace.windows.condition import condition_columns, parse_condition
from headrace.windows.history import NEVER, History, build_history, to_times
from headrace.windows.partition import Partition, Partitions, partition_by_key
from headrace.windows.row_ranges import RowRanges, RowTimes
from headrace.windows.visible import VisibleEvents
from headrace.windows.window import check_window, hop_us, window_columns, window_keys


def add_windows(
    frame: pl.DataFrame,
    windows: list[Window],
    events: Mapping[str, pl.DataFrame],
    time: str | None,
    tables: Mapping[str, EventTable],
) -> pl.DataFrame:
    """Appends the columns of every window to the rows.

    Parameters: `frame` with the rows' `time` and key columns; `events`, the event tables by name,
    and what `tables` says of their columns. Raises `InputError` naming the window and what it
    misses.
    """
    schemas = {name: table.schema for name, table in events.items()}
    groups: dict[tuple[str, ...], list[Window]] = {}
    for window in windows:
        where = check_window(window, frame.schema, schemas)
        if time is None:
            raise InputError(where, "data.time is not set", "the column with the time of each row")
        taken = [name for name in window_columns(window) if name in frame.columns]
        if taken:
            raise InputError(
                where, f"the table has a column {taken[0]!r} already", "another window name"
            )
        times = to_times(frame[time], where)
        groups.setdefault((window.events, *window_keys(window)), []).append(window)
    histories: dict[str, History] = {}
    made: dict[str, pl.Series] = {}
    for (name, *keys), group in groups.items():
        if name not in histories:
            histories[name] = build_history(events[name], tables[name], f"data.events.{name}")
        made |= _columns(
            group,
            histories[name],
            partition_by_key(frame.select(cs.by_name(*keys)), times, histories[name]),
        )
    return frame.with_columns(made[name] for window in windows for name in window_columns(window))


def _columns(windows: list[Window], found: History, dealt: Partitions) -> dict[str, pl.Series]:
    """The columns of windows over the same events by the same keys, for rows in the order in which they were given."""
    read = {
        name
        for window in windows
        for name in {window.of} | condition_columns(window.where)
        if name in found.frame.columns
    }

    def worked(part: Partition) -> list[pl.Series]:
        sight = _sight(part, found, sorted(read))
        return [column for window in windows for column in _of_part(window, sight)]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pieces = zip(*pool.map(worked, dealt.parts), strict=True)
    names = [name for window in windows for name in window_columns(window)]
    columns = (
        pl.concat(some).gather(dealt.places).alias(name)
        for name, some in zip(names, pieces, strict=True)
    )
    return dict(zip(names, columns, strict=True))


class _Sight(Struct, frozen=True):
    """The events of a part that some row could see, were windows endless: their versions, the codes
    of their keys, the place and the time of the first row that does. Windows over the same events
    share their `ranges`.
    """

    rows: RowTimes
    history: History
    codes: Integers
    first: Integers
    first_time: Integers
    ranges: dict[tuple[object, ...], tuple[RowRanges, dict[str, Integers]]]


def _sight(part: Partition, found: History, read: list[str]) -> _Sight:
    first = part.rows.first_at(part.codes, found.visible_from[part.events])
    first_time = part.rows.time_at(first, part.codes, NEVER)
    seen = first_time < found.replaced[part.events]
    return _Sight(
        part.rows,
        found.select(part.events[seen], read),
        part.codes[seen],
        first[seen],
        first_time[seen],
        {},
    )


def _of_part(window: Window, sight: _Sight) -> list[pl.Series]:
    """The columns of one window for the rows of a part, by their place."""
    found, frame = sight.history, sight.history.frame
    counts = holds = np.ones(len(found.time), bool)
    if window.where is not None:
        holds = parse_condition(window.where, window.name, frame.schema).mask(frame).to_numpy()
    if not AGGREGATE_ROWS[window.aggregate].needs_where:
        counts = holds
    holes = None
    if AGGREGATE_ROWS[window.aggregate].of != "events" and frame[window.of or ""].null_count():
        holes, counts = window.of, counts & frame[window.of or ""].is_not_null().to_numpy()
    columns = []
    for over in window.over:
        key = (
            None if AGGREGATE_ROWS[window.aggregate].needs_where else window.where,
            holes,
            over,
            window.hop,
        )
        if key not in sight.ranges:
            sight.ranges[key] = (_cover(sight, counts, _exit(found.time, over, window)), {})
        cover, kept = sight.ranges[key]
        visible = VisibleEvents(cover, found, window.of or "", holds, sight.rows.times, kept)
        columns.append(AGGREGATES[window.aggregate].offline(visible))
    return columns


def _cover(sight: _Sight, counts: Mask, leaves: Integers) -> RowRanges:
    """Which rows see the events that count, each until it leaves the window or is replaced."""
    leaves = np.minimum(leaves, sight.history.replaced)
    # An event that the first row which could see it does see covers that row at least, the others
    # none.
    seen = np.flatnonzero((sight.first_time < leaves) & counts)
    first = sight.first[seen]
    last = sight.rows.first_at(sight.codes[seen], leaves[seen], first)
    return RowRanges(seen, first, last, len(sight.rows.times))


def _exit(time: Integers, over: str, window: Window) -> Integers:
    """From when rows see an event no longer: the first `t` with `floor((t - over) / hop) * hop > time`."""
    if over == "all":
        return np.full(len(time), NEVER)
    span, hop = duration_us(over), hop_us(window, over)
    return (time // hop + 1) * hop + span if hop else time + span + 1
