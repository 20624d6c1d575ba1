"""Gives the events of history once more in the order in which they became known, for a replay."""

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import structs

from headrace.arrays import Integers
from headrace.store.history_and_log import NO_WATERMARK, HistoryAndLog
from headrace.store.ingest import value_columns
from headrace.store.keys import entity_names
from headrace.store.layout import EventSource, Layout
from headrace.tables import Column
from headrace.windows import read_available_times


class ReplayOrder:
    """The events that some rows may see, in the order in which they became known.

        available     3   5   5   8   9   12
        read_until(5) ---------|             events 3, 5 and 5
        read_until(9)           ------|      events 8 and 9

    `tables` describes the events, and `layout` is the one to fill a store with, from no history.
    """

    def __init__(self, combined: HistoryAndLog, rows: pl.DataFrame) -> None:
        layout = combined.layout
        self.tables = {name: combined.tables[name] for name in layout.sources}
        self._frames: dict[str, pl.DataFrame] = {}
        self._available: dict[str, Integers] = {}
        # How many events of each table the calls so far have read.
        self._ends = dict.fromkeys(self.tables, 0)
        sources = {}
        for name, source in layout.sources.items():
            frame = combined.frames[name]
            frame = frame.filter(_visible_mask(layout, name, frame, rows))
            available = read_available_times(frame, self.tables[name], f"data.events.{name}")
            order = np.argsort(available, kind="stable")
            self._frames[name] = frame[order]
            self._available[name] = available[order]
            sources[name] = structs.replace(
                source,
                table=self.tables[name],
                columns=self._columns_with_available(name, source),
                watermark=NO_WATERMARK,
            )
        self.layout = structs.replace(layout, sources=sources)

    def _columns_with_available(self, name: str, source: EventSource) -> list[Column]:
        """Return the columns of a table, with the one that says when an event became known."""
        available = self.tables[name].available
        if available is None or any(column.name == available for column in source.columns):
            return source.columns
        return [*source.columns, Column(name=available, dtype="datetime", kind="ignored")]

    def read_until(self, moment: int) -> dict[str, pl.DataFrame]:
        """Return the events that became known since the last call, up to a moment (microseconds).

        They come as a table for each table of events, by its name.
        """
        events = {}
        for name, frame in self._frames.items():
            begin = self._ends[name]
            end = int(np.searchsorted(self._available[name], moment, "right"))
            columns = [column.name for column in self.layout.sources[name].columns]
            events[name] = frame[begin:end].select(cs.by_name(*columns))
            self._ends[name] = end
        return events


def _visible_mask(layout: Layout, name: str, frame: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """Return which events have a key that some row has, and every version of these events."""
    source = layout.sources[name]
    mask = pl.Series(np.zeros(frame.height, bool))
    for _, group in layout.find_groups(name):
        keys = rows.select(cs.by_name(*group.keys).to_physical())
        wanted = entity_names(group, keys).drop_nulls()
        names = entity_names(group, value_columns(source, frame))
        mask |= names.is_in(wanted.implode()).fill_null(False)
    if source.table.id is not None:
        ids = frame[source.table.id]
        mask = ids.is_in(ids.filter(mask).unique().implode())
    return mask
