"""The window features of given rows: joined from the tables and the log, or read from the online store."""

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
from headrace.windows import add_windows, to_times, window_columns


def window_features(
    system: System, rows: pl.DataFrame, online: bool = False, now: datetime | None = None
) -> pl.DataFrame:
    """Rows, and the windows of each as of its time.

    `online` reads the store, which tells no past: a row before the latest event that it knows of is
    read as of that one; rows without the column of times as of `now`. Raises `InputError` where
    rows miss a key, the store a window.
    """
    if online:
        return _read_online(system, rows, to_us_or_now(now))
    sources = tables.read_sources(system)
    if system.data.time_column not in rows.columns:
        rows = tables.with_time(rows, system.data)
    return add_window_features(system, rows, sources, log_position(system))


def add_window_features(
    system: System, rows: pl.DataFrame, sources: tables.Sources, position: int
) -> pl.DataFrame:
    """Rows, and the windows of each, of the event tables and of what the log tells up to a position."""
    windows, time = system.features.windows, system.data.time_column
    if position == 0:
        return add_windows(rows, windows, sources.events, time, system.data.events)
    found = combine_history_and_log(system, rows.schema, sources.events, sources.columns, position)
    return add_windows(rows, windows, found.frames, time, found.tables)


def log_position(system: System) -> int:
    """The position in the log behind the last event that a window may see."""
    return open_log(system).position([window.events for window in system.features.windows])


def open_reader(system: System) -> WindowReader:
    """Reads the windows of a system from its store; raises `InputError` where it was not filled, or without one."""
    reader = WindowReader(open_store(system))
    kept = reader.layout.columns
    for name in [name for window in system.features.windows for name in window_columns(window)]:
        if name not in kept:
            do = "`headrace materialize` fills it for the windows of the spec"
            raise InputError(
                "the online store", f"no window {name!r} in it", "one of: " + ", ".join(kept), do
            )
    return reader


def _read_online(system: System, rows: pl.DataFrame, now: int) -> pl.DataFrame:
    reader = open_reader(system)
    for key in reader.layout.keys:
        if key not in rows.columns:
            known = "one of: " + ", ".join(rows.columns)
            raise InputError("the rows", f"no column {key!r}", known, nearest(key, rows.columns))
    moments = [now] * rows.height
    if system.data.time_column in rows.columns:
        moments = to_times(rows[str(system.data.time_column)], "the rows").tolist()
    found = reader.rows(rows.select(cs.by_name(*reader.layout.keys)).to_dicts(), moments)
    columns = {name: [row[name] for row in found] for name in reader.layout.columns}
    return rows.with_columns(pl.Series(name, values) for name, values in columns.items())
