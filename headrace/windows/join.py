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
from headrace.spec import EventTable, Window, duration_us
from headrace.windows.aggregates import AGGREGATES, Seen
from headrace.windows.condition import columns_in, condition
from headrace.windows.history import NEVER, History, history, times_of
from headrace.windows.partition import Part, Parts, parts_of
from headrace.windows.row_ranges import Cover, Rows
from headrace.windows.window import OF_VALUES, check_window, hop_us, keys_of, window_columns


def add_windows(
    frame: pl.DataFrame,
    windows: list[Window],
    events: Mapping[str, pl.DataFrame],
    time: str | None,
    tables: Mapping[str, EventTable],
) -> pl.DataFrame:
    """Appends the columns of every window to the rows.

    Parameters: `frame` with the rows' `time` and key columns; `events`, the event tables by name, and what `tables`
    says of their columns. Raises `InputError` naming the window and what it misses.
    """
    schemas = {name: table.schema for name, table in events.items()}
    groups: dict[tuple[str, ...], list[Window]] = {}
    for window in windows:
        where = check_window(window, frame.schema, schemas)
        if time is None:
            raise InputError(where, "data.time is not set", "the column with the time of each row")
        taken = [name for name in window_columns(window) if name in frame.columns]
        if taken:
            raise InputError(where, f"the table has a column {taken[0]!r} already", "another window name")
        times = times_of(frame[time], where)
        groups.setdefault((window.events, *keys_of(window)), []).append(window)
    histories: dict[str, History] = {}
    made: dict[str, pl.Series] = {}
    for (name, *keys), group in groups.items():
        if name not in histories:
            histories[name] = history(events[name], tables[name], f"data.events.{name}")
        made |= _columns(group, histories[name], parts_of(frame.select(cs.by_name(*keys)), times, histories[name]))
    return frame.with_columns(made[name] for window in windows for name in window_columns(window))


def _columns(windows: list[Window], found: History, dealt: Parts) -> dict[str, pl.Series]:
    """The columns of windows over the same events by the same keys, for rows in the order in which they were given."""
    read = {
        name for window in windows for name in {window.of} | columns_in(window.where) if name in found.frame.columns
    }

    def worked(part: Part) -> list[pl.Series]:
        sight = _sight(part, found, sorted(read))
        return [column for window in windows for column in _of_part(window, sight)]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pieces = zip(*pool.map(worked, dealt.parts), strict=True)
    names = [name for window in windows for name in window_columns(window)]
    columns = (pl.concat(some).gather(dealt.places).alias(name) for name, some in zip(names, pieces, strict=True))
    return dict(zip(names, columns, strict=True))


class _Sight(Struct, frozen=True):
    """The events of a part that some row could see, were windows endless: their versions, the codes of their keys, the
    place and the time of the first row that does. Windows over the same events share their `covers`."""

    rows: Rows
    history: History
    codes: Integers
    first: Integers
    first_time: Integers
    covers: dict[tuple[object, ...], tuple[Cover, dict[str, Integers]]]


def _sight(part: Part, found: History, read: list[str]) -> _Sight:
    first = part.rows.first_at(part.codes, found.known[part.events])
    first_time = part.rows.time_at(first, part.codes, NEVER)
    seen = first_time < found.replaced[part.events]
    return _Sight(part.rows, found.some(part.events[seen], read), part.codes[seen], first[seen], first_time[seen], {})


def _of_part(window: Window, sight: _Sight) -> list[pl.Series]:
    """The columns of one window for the rows of a part, by their place."""
    found, frame = sight.history, sight.history.frame
    counts = holds = np.ones(len(found.time), bool)
    if window.where is not None:
        holds = condition(window.where, window.name, frame.schema).mask(frame).to_numpy()
    if window.aggregate != "rate":
        counts = holds
    holes = None
    if window.aggregate in OF_VALUES and frame[window.of or ""].null_count():
        holes, counts = window.of, counts & frame[window.of or ""].is_not_null().to_numpy()
    columns = []
    for over in window.over:
        key = (None if window.aggregate == "rate" else window.where, holes, over, window.hop)
        if key not in sight.covers:
            sight.covers[key] = (_cover(sight, counts, _exit(found.time, over, window)), {})
        cover, kept = sight.covers[key]
        columns.append(AGGREGATES[window.aggregate](Seen(cover, found, window.of or "", holds, sight.rows.times, kept)))
    return columns


def _cover(sight: _Sight, counts: Mask, leaves: Integers) -> Cover:
    """Which rows see the events that count, each until it leaves the window or is replaced."""
    leaves = np.minimum(leaves, sight.history.replaced)
    # An event that the first row which could see it does see covers that row at least, the others none.
    seen = np.flatnonzero((sight.first_time < leaves) & counts)
    first = sight.first[seen]
    last = sight.rows.first_at(sight.codes[seen], leaves[seen], first)
    return Cover(seen, first, last, len(sight.rows.times))


def _exit(time: Integers, over: str, window: Window) -> Integers:
    """From when rows see an event no longer: the first `t` with `floor((t - over) / hop) * hop > time`."""
    if over == "all":
        return np.full(len(time), NEVER)
    span, hop = duration_us(over), hop_us(window, over)
    return (time // hop + 1) * hop + span if hop else time + span + 1
