"""History and log as one: the tables that a spec names, and what was pushed since."""

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
from headrace.windows import available_times, to_times
from headrace.windows.aggregates import AGGREGATES, NUMBER_STATES

_AVAILABLE = "__available__"
NO_WATERMARK = np.iinfo(np.int64).min
"""The watermark of a table without events."""


class HistoryAndLog(Struct, frozen=True):
    """Tables of events with what the log told of them, what the spec says of these tables, and the
    layout for the windows over them.
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
    """Combines the events of a system's tables with those of its log up to a position.

    Both count where events have ids: the time at which a version was known tells two versions of
    one event apart. Without ids history counts up to its end, and the log after it, so that no
    event counts twice.

    Parameters: `rows`, the types of the columns of rows that windows are computed for; `frames` and
    `columns`, the event tables by name; `until`, the last moment of history that counts
    (microseconds). Raises `InputError` as `add_windows` does.
    """
    windows = system.features.windows
    tables = system.data.events
    log = open_log(system)
    layout = build_layout(windows, tables, rows, columns, _origins(windows, frames))
    found, said, sources = dict(frames), dict(tables), dict(layout.sources)
    for name, source in layout.sources.items():
        frame, table = frames[name], tables[name]
        available = available_times(frame, table, f"data.events.{name}")
        if until is not None:
            frame, available = (
                frame.filter(pl.Series(available <= until)),
                available[available <= until],
            )
        watermark = int(available.max()) if len(available) else NO_WATERMARK
        sources[name] = structs.replace(source, watermark=watermark)
        records = log.read(name, until=position)
        if table.id is None:
            records = records.filter(pl.col("available").to_physical() > watermark)
        found[name] = frame
        if records.height:
            found[name], said[name] = _with_records(
                frame, available, table, source.columns, records
            )
    return HistoryAndLog(found, said, structs.replace(layout, sources=sources))


def _with_records(
    frame: pl.DataFrame,
    available: Integers,
    table: EventTable,
    columns: list[Column],
    records: pl.DataFrame,
) -> tuple[pl.DataFrame, EventTable]:
    told = decode_payloads(records, columns)
    told = told.with_columns(pl.Series(_AVAILABLE, to_times(records["available"], "the log")))
    both = pl.concat(
        [frame.with_columns(pl.Series(_AVAILABLE, available)), told], how="diagonal_relaxed"
    )
    timed = both.with_columns(pl.col(_AVAILABLE).cast(pl.Datetime("us")))
    return timed, structs.replace(table, available=_AVAILABLE, delay=None)


def _origins(windows: list[Window], frames: Mapping[str, pl.DataFrame]) -> Origins:
    """About where the values of columns lie whose squares are kept: at the mean of history."""
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
