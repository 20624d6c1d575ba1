"""Computes the window features of given rows: offline by a join, or online from the store."""

from datetime import datetime

import polars as pl
import polars.selectors as cs

from headrace import tables
from headrace.clock import to_us_or_now
from headrace.errors import InputError, nearest
from headrace.log import open_log
from headrace.spec import System
from headrace.store.history_and_log import combine_history_and_log
from headrace.store.open import open_store
from headrace.store.read import WindowReader
from headrace.windows import add_windows, convert_times, list_columns


def window_features(
    system: System, rows: pl.DataFrame, online: bool = False, now: datetime | None = None
) -> pl.DataFrame:
    """Add the windows of each row, as of the row's time, to rows.

    With `online` they are read from the store. The store does not know the past: a row before the
    latest event that it knows of is read as of that event, and rows without the column of times as
    of `now`. Raises `InputError` where rows miss a key, or the store a window.
    """
    if online:
        return _read_online(system, rows, to_us_or_now(now))
    sources = tables.read_sources(system)
    if system.data.time_column not in rows.columns:
        rows = tables.add_time(rows, system.data)
    return add_window_features(system, rows, sources, log_position(system))


def add_window_features(
    system: System, rows: pl.DataFrame, sources: tables.Sources, position: int
) -> pl.DataFrame:
    """Add the windows of each row over the event tables and over the log up to a position."""
    windows = system.features.windows
    time = system.data.time_column
    # Without pushed events the tables are all there is, and need no copy.
    if position == 0:
        return add_windows(rows, windows, sources.events, time, system.data.events)
    combined = combine_history_and_log(
        system, rows.schema, sources.events, sources.columns, position
    )
    return add_windows(rows, windows, combined.frames, time, combined.tables)


def log_position(system: System) -> int:
    """Return the position in the log behind the last event that a window may see."""
    return open_log(system).position([window.events for window in system.features.windows])


def open_reader(system: System) -> WindowReader:
    """Open a reader of a system's windows.

    Raises `InputError` where the store was not filled, or was filled without one of the windows.
    """
    reader = WindowReader(open_store(system))
    stored = reader.layout.columns
    for window in system.features.windows:
        for name in list_columns(window):
            if name not in stored:
                raise InputError(
                    "the online store",
                    f"no window {name!r} in it",
                    "one of: " + ", ".join(stored),
                    "`headrace materialize` fills it for the windows of the spec",
                )
    return reader


def _read_online(system: System, rows: pl.DataFrame, now: int) -> pl.DataFrame:
    reader = open_reader(system)
    keys = reader.layout.keys
    for key in keys:
        if key not in rows.columns:
            known = "one of: " + ", ".join(rows.columns)
            raise InputError("the rows", f"no column {key!r}", known, nearest(key, rows.columns))

    moments = [now] * rows.height
    if system.data.time_column in rows.columns:
        moments = convert_times(rows[str(system.data.time_column)], "the rows").tolist()
    values = reader.rows(rows.select(cs.by_name(*keys)).to_dicts(), moments)
    columns = {name: [row[name] for row in values] for name in reader.layout.columns}
    return rows.with_columns(pl.Series(name, column) for name, column in columns.items())
