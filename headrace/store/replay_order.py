"""History told once more, as it became known: for a replay."""

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import structs

from headrace.store.history_and_log import NO_WATERMARK, HistoryAndLog
from headrace.store.ingest import value_columns
from headrace.store.keys import entity_names
from headrace.store.layout import Layout
from headrace.tables import Column
from headrace.windows import available_times


class ReplayOrder:
    """The events of merged tables that some rows may see, in the order in which they became known."""

    def __init__(self, found: HistoryAndLog, rows: pl.DataFrame) -> None:
        self.tables = {name: found.tables[name] for name in found.layout.sources}
        self._frames: dict[str, pl.DataFrame] = {}
        self._available = {}
        self._told = dict.fromkeys(self.tables, 0)
        sources = {}
        for name, source in found.layout.sources.items():
            table, frame = self.tables[name], found.frames[name]
            frame = frame.filter(_seen(found.layout, name, frame, rows))
            available = available_times(frame, table, f"data.events.{name}")
            order = np.argsort(available, kind="stable")
            self._frames[name], self._available[name] = frame[order], available[order]
            columns = source.columns
            if table.available is not None and all(
                column.name != table.available for column in columns
            ):
                columns = [*columns, Column(name=table.available, dtype="datetime", kind="ignored")]
            sources[name] = structs.replace(
                source, table=table, columns=columns, watermark=NO_WATERMARK
            )
        self.layout = structs.replace(found.layout, sources=sources)

    def read_until(self, moment: int) -> dict[str, pl.DataFrame]:
        """What became known since the last call, up to a moment (microseconds)."""
        found = {}
        for name, frame in self._frames.items():
            end = int(np.searchsorted(self._available[name], moment, "right"))
            columns = [column.name for column in self.layout.sources[name].columns]
            found[name], self._told[name] = (
                frame[self._told[name] : end].select(cs.by_name(*columns)),
                end,
            )
        return found


def _seen(layout: Layout, name: str, frame: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """Which events are of a key that some row has, and every version of these."""
    source = layout.sources[name]
    seen = pl.Series(np.zeros(frame.height, bool))
    for _, group in layout.of(name):
        asked = entity_names(group, rows.select(cs.by_name(*group.keys).to_physical())).drop_nulls()
        seen |= (
            entity_names(group, value_columns(source, frame))
            .is_in(asked.implode())
            .fill_null(False)
        )
    if source.table.id is not None:
        ids = frame[source.table.id]
        seen = ids.is_in(ids.filter(seen).unique().implode())
    return seen
