"""Features over time outside of a run: what is pushed, the online store, and the windows of given rows."""

import hashlib
import warnings
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

import msgspec
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace import spec, tables
from headrace.clock import SYSTEM, to_datetime, to_us
from headrace.errors import InputError, nearest
from headrace.log import Log
from headrace.report import Watch, quiet
from headrace.spec import System
from headrace.store.backfill import backfill
from headrace.store.history_and_log import NO_WATERMARK, HistoryAndLog, combine_history_and_log
from headrace.store.ingest import EventRows
from headrace.store.open import open_log, open_pusher, open_store
from headrace.store.push import MAX_CLOCK_SKEW_US, Pusher
from headrace.store.read import WindowReader
from headrace.windows import add_windows, to_times, window_columns


class Materialized(Struct, frozen=True):
    """A filled store: how many rows of each table are in it, up to when history told of each, and up to which position
    of the log it holds what was pushed."""

    store: str
    events: dict[str, int]
    watermarks: dict[str, datetime | None]
    position: int


def push(kind: str, told: EventRows, folder: str | Path = ".", now: datetime | None = None) -> int:
    """Tells the system of a folder of events of one table of its `data.events`; returns how many.

    Parameters: `told`, an event, a list of them, or a Polars, pandas or Arrow table; `now`, from when they are known
    (the clock's, where it is left out). When this returns the events are in the log, for training, and in the online
    store; a store that failed once the log had them is warned of (`RuntimeWarning`), and told by the next push. Raises
    `InputError` naming the row and the column, and where `materialize` has not filled a store yet; nothing is taken
    then.
    """
    if now is not None and _us(now) > _us(None) + MAX_CLOCK_SKEW_US:
        do = "windows would forget all that is older than that"
        raise InputError("now", f"{now.isoformat()}, which is to come", "a moment of the past, or nothing", do)
    pushed = _online(Path(folder).resolve()).push(kind, told, _us(now))
    if pushed.store_error is not None:
        warnings.warn(f"taken, and told to the store with the next push: {pushed.store_error}", RuntimeWarning, 2)
    return pushed.events


def materialize(
    system: System, until: datetime | None = None, now: datetime | None = None, watch: Watch = quiet
) -> Materialized:
    """Fills the online store of a system with what its event tables and its log tell, and lets it be read.

    History counts up to `until`, or to its end; what was pushed counts too. A store that is read stays until the new
    one is whole, and pushes may go on meanwhile. A call goes on where an earlier one was killed. Raises `InputError`
    for a system without windows, and as `run` does for its tables.
    """
    if not system.features.windows:
        raise InputError("features.windows", "none in this spec", "a window over data.events to keep")
    watch("tables", "")
    tables.files_of(system)  # fetches what lies behind a URL
    sources, log = tables.read_sources(system), open_log(system)
    system.workspace.claim()
    with log.append_lock():
        position = log.end
    found = _merged(system, sources.frame, sources, position, None if until is None else _us(until))
    cache_key = [found.layout, sources.fingerprints, position, until]
    name = hashlib.sha256(msgspec.json.encode(cache_key, order="deterministic")).hexdigest()
    kept = {name: (found.frames[name], found.tables[name]) for name in found.layout.sources}
    stand = backfill(
        open_store(system),
        log,
        found.layout,
        kept,
        position,
        name,
        _us(now),
        lambda done, of: watch("events", f"{done} of {of}"),
    )
    return Materialized(
        system.store or str(system.workspace.online),
        {name: frame.height for name, (frame, _) in kept.items()},
        {name: _until(one.watermark) for name, one in found.layout.sources.items()},
        stand.position,
    )


def window_features(
    system: System, rows: pl.DataFrame, online: bool = False, now: datetime | None = None
) -> pl.DataFrame:
    """Rows, and the windows of each as of its time.

    `online` reads the store, which tells no past: a row before the latest event that it knows of is read as of that
    one; rows without the column of times as of `now`. Raises `InputError` where rows miss a key, the store a window.
    """
    if online:
        return _read_online(system, rows, _us(now))
    sources = tables.read_sources(system)
    if system.data.time_column not in rows.columns:
        rows = tables.with_time(rows, system.data)
    return add_window_features(system, rows, sources, log_position(system))


def repair_log(folder: str | Path = ".") -> list[str]:
    """Makes the damaged logs of a system usable again: what is whole goes on, what is not is set aside, and stays.

    Returns what was done, in words; nothing where all is well. Services and pushes wait meanwhile.
    """
    home = spec.load(folder).workspace.log
    folders = [path for path in [home, *home.glob("*/")] if any(path.glob("*.open")) or any(path.glob("*.parquet"))]
    return [f"{path.relative_to(home.parent)}: {said}" for path in folders for said in Log(path).repair()]


def add_window_features(system: System, rows: pl.DataFrame, sources: tables.Sources, position: int) -> pl.DataFrame:
    """Rows, and the windows of each, of the event tables and of what the log tells up to a position."""
    windows, time = system.features.windows, system.data.time_column
    if position == 0:
        return add_windows(rows, windows, sources.events, time, system.data.events)
    found = _merged(system, rows, sources, position)
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
            raise InputError("the online store", f"no window {name!r} in it", "one of: " + ", ".join(kept), do)
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


def _merged(
    system: System, rows: pl.DataFrame, sources: tables.Sources, position: int, until: int | None = None
) -> HistoryAndLog:
    data, log = system.data, open_log(system)
    told: Mapping[str, pl.DataFrame] = sources.events
    return combine_history_and_log(
        system.features.windows, data.events, rows.schema, told, sources.columns, log, position, until
    )


@cache
def _online(folder: Path) -> Pusher:
    return open_pusher(spec.load(folder))


def _until(watermark: int) -> datetime | None:
    return None if watermark == NO_WATERMARK else to_datetime(watermark)


def _us(moment: datetime | None) -> int:
    """A moment, or the clock's, in microseconds since 1970 UTC; one without a zone is UTC."""
    return SYSTEM.now_us() if moment is None else to_us(moment)
