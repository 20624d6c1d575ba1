"""Windows before each row, vectorised: exact, no row loop, no event that was not known.

The exact meaning of a window is in `README.md` beside this file.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from millrace.errors import InputError
from millrace.events.aggregates import AGGREGATES, Seen
from millrace.events.check import OF_VALUES, check_window, hop_us, keys_of, window_columns
from millrace.events.cover import Cover, Integers, Rows
from millrace.events.history import NEVER, History, history, times_of
from millrace.events.where import condition
from millrace.spec import EventTable, Window, duration_us


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
    made: list[pl.Series] = []
    schemas = {name: table.schema for name, table in events.items()}
    known: dict[str, History] = {}
    sights: dict[tuple[str, ...], _Sight] = {}
    for window in windows:
        where = check_window(window, frame.schema, schemas)
        if time is None:
            raise InputError(where, "data.time is not set", "the column with the time of each row")
        taken = [name for name in window_columns(window) if name in frame.columns]
        if taken:
            raise InputError(where, f"the table has a column {taken[0]!r} already", "another window name")
        if window.events not in known:
            table = tables[window.events]
            known[window.events] = history(events[window.events], table, f"data.events.{window.events}")
        keys = keys_of(window)
        if (name := (window.events, *keys)) not in sights:
            rows = Rows(frame.select(keys), times_of(frame[time], where))
            sights[name] = _sight(known[window.events], rows, frame.select(keys))
        made += _columns(window, known[window.events], sights[name], where)
    return frame.with_columns(made)


class _Sight(Struct, frozen=True):
    """The events that some row could see, were windows endless: their numbers, the codes of their keys, the place and
    the time of the first row that does. Windows over the same events share their `covers`."""

    rows: Rows
    events: Integers
    codes: Integers
    first: Integers
    first_time: Integers
    covers: dict[tuple[object, ...], tuple[Cover, dict[str, Integers]]]


def _sight(found: History, rows: Rows, keys: pl.DataFrame) -> _Sight:
    same_type = (pl.col(name).cast(dtype, strict=False) for name, dtype in keys.schema.items())
    codes = rows.codes(found.frame.select(same_type))
    some = np.flatnonzero((codes >= 0) & found.alive)
    codes = codes[some]
    first = rows.first_at(codes, found.known[some])
    first_time = rows.time_at(first, codes, NEVER)
    seen = first_time < found.replaced[some]
    return _Sight(rows, some[seen], codes[seen], first[seen], first_time[seen], {})


def _columns(window: Window, found: History, sight: _Sight, where: str) -> list[pl.Series]:
    """The columns of one window for rows in the order in which they were given."""
    rows, frame = sight.rows, found.frame
    holds = np.ones(frame.height, bool)
    if window.where is not None:
        holds = condition(window.where, where, frame.schema).mask(frame).to_numpy()
    counts = np.ones(frame.height, bool) if window.aggregate == "rate" else holds
    holes = None
    if window.aggregate in OF_VALUES and frame[window.of or ""].null_count():
        holes, counts = window.of, counts & frame[window.of or ""].is_not_null().to_numpy()
    columns = []
    for name, over in zip(window_columns(window), window.over, strict=True):
        key = (None if window.aggregate == "rate" else window.where, holes, over, window.hop)
        if key not in sight.covers:
            sight.covers[key] = (_cover(found, sight, counts, _exit(found.time[sight.events], over, window)), {})
        cover, kept = sight.covers[key]
        values = AGGREGATES[window.aggregate](Seen(cover, found, window.of or "", holds, rows.times, kept))
        columns.append(values.gather(rows.places).alias(name))
    return columns


def _cover(found: History, sight: _Sight, counts: npt.NDArray[np.bool_], leaves: Integers) -> Cover:
    """Which rows see the events that count, each until it leaves the window or is replaced."""
    leaves = np.minimum(leaves, found.replaced[sight.events])
    # An event that the first row which could see it does see covers that row at least, the others none.
    seen = (sight.first_time < leaves) & counts[sight.events]
    last = sight.rows.first_at(sight.codes[seen], leaves[seen])
    return Cover(sight.events[seen], sight.first[seen], last, sight.rows.count)


def _exit(time: Integers, over: str, window: Window) -> Integers:
    """From when rows see an event no longer: the first `t` with `floor((t - over) / hop) * hop > time`."""
    if over == "all":
        return np.full(len(time), NEVER)
    span, hop = duration_us(over), hop_us(window, over)
    return (time // hop + 1) * hop + span if hop else time + span + 1
