"""Combines history, the event tables of a spec, with the log, the events that were pushed since."""

import math
from collections.abc import Mapping

import numpy as np
import polars as pl
from msgspec import Struct, structs

from headrace.arrays import Integers
from headrace.log import open_log
from headrace.spec import EventTable, System, Window
from headrace.store.ingest import decode_payloads
from headrace.store.layout import Layout, Origins, build_layout
from headrace.tables import Column
from headrace.windows import convert_times, read_available_times
from headrace.windows.aggregates import AGGREGATES, NUMBER_STATES

_AVAILABLE = "__available__"
NO_WATERMARK = np.iinfo(np.int64).min
"""The watermark of a table without events."""


class HistoryAndLog(Struct, frozen=True):
    """Event tables together with the records of the log.

    `frames` holds the events and `tables` describes them, both by the name of the table; `layout`
    is that of the windows over them.
    """

    frames: dict[str, pl.DataFrame]
    tables: dict[str, EventTable]
    layout: Layout


def combine_history_and_log(
    system: System,
    rows: Mapping[str, pl.DataType],
    frames: Mapping[str, pl.DataFrame],
    columns: Mapping[str, list[Column]],
    position: int,
    until: int | None = None,
) -> HistoryAndLog:
    """Combine the events of a system's tables with those of its log up to a position.

    With ids, all events of both count: two rows with one id are two versions of one event. Without
    ids a row of history and a record of the log may be one event, and nobody can know. So history
    counts up to its end, the watermark, and the log counts after it:

        history    | . . . . . . |                 an event is available at each dot
        log              . . . . | . . . .
        without ids  from history | from the log

    Parameters: `rows`, the types of the columns of rows that windows are computed for; `frames` and
    `columns`, the event tables by name; `until`, the last moment of history that counts
    (microseconds). Raises `InputError` as `add_windows` does.
    """
    windows = system.features.windows
    log = open_log(system)
    layout = build_layout(
        windows, system.data.events, rows, columns, _find_origins(windows, frames)
    )
    combined = dict(frames)
    tables = dict(system.data.events)
    sources = dict(layout.sources)
    for name, source in layout.sources.items():
        # An event that became known after `until` counts as if it were not there.
        frame = frames[name]
        table = tables[name]
        available = read_available_times(frame, table, f"data.events.{name}")
        if until is not None:
            frame = frame.filter(pl.Series(available <= until))
            available = available[available <= until]
        watermark = int(available.max()) if len(available) else NO_WATERMARK
        sources[name] = structs.replace(source, watermark=watermark)

        records = log.read(name, until=position)
        if table.id is None:
            records = records.filter(pl.col("available").to_physical() > watermark)
        combined[name] = frame
        if records.height:
            combined[name] = _append_records(frame, available, source.columns, records)
            tables[name] = structs.replace(table, available=_AVAILABLE, delay=None)
    return HistoryAndLog(combined, tables, structs.replace(layout, sources=sources))


def _append_records(
    frame: pl.DataFrame, available: Integers, columns: list[Column], records: pl.DataFrame
) -> pl.DataFrame:
    """Append the events of records to a table, and add from when each is available."""
    pushed = decode_payloads(records, columns)
    pushed = pushed.with_columns(
        pl.Series(_AVAILABLE, convert_times(records["available"], "the log"))
    )
    history = frame.with_columns(pl.Series(_AVAILABLE, available))
    # The log has only the columns that are needed; history may have more, and other types.
    both = pl.concat([history, pushed], how="diagonal_relaxed")
    return both.with_columns(pl.col(_AVAILABLE).cast(pl.Datetime("us")))


def _find_origins(windows: list[Window], frames: Mapping[str, pl.DataFrame]) -> Origins:
    """Find an origin for each column whose squares are summed: the mean of its history.

    Squares of small distances keep digits that squares of large values lose.
    """
    origins: dict[tuple[str, str], float] = {}
    for window in windows:
        states = AGGREGATES[window.aggregate].states(window.of, window.where)
        kinds = [NUMBER_STATES[state.kind] for state in states if state.kind in NUMBER_STATES]
        if window.of is None or not any(kind.from_origin for kind in kinds):
            continue
        mean = frames[window.events][window.of].cast(pl.Float64).mean()
        if isinstance(mean, float) and math.isfinite(mean):
            origins[window.events, window.of] = mean
    return origins
