"""Events as people and programs tell them: rows, tables, records of the log; and as the store takes them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from msgspec import structs

from millrace.errors import InputError, nearest
from millrace.events.history import Times, times_of
from millrace.events.layout import Source
from millrace.events.versions import Batch
from millrace.spec import EventTable, duration_us
from millrace.tables import POLARS, Column, conform

Events = Mapping[str, Any] | list[dict[str, Any]] | pl.DataFrame


def frame_of(source: Source, events: str, told: Events) -> pl.DataFrame:
    """Events as a table, the columns that are needed in their types; others stay as they are.

    A row that tells of a deletion needs its id and its time alone. Raises `InputError` naming the row and the column.
    """
    where, table = f"events {events!r}", source.table
    if isinstance(told, pl.DataFrame):
        frame = told
        if lacks := [name for name in _required(source) if name not in frame.columns]:
            hint = nearest(lacks[0], frame.columns)
            raise InputError(where, f"no column {lacks[0]!r}", f"the columns {', '.join(_required(source))}", hint)
    else:
        rows = [dict(told)] if isinstance(told, Mapping) else told
        _complete(source, where, rows)
        try:
            frame = pl.DataFrame(rows, infer_schema_length=None)
        except (pl.exceptions.PolarsError, TypeError) as error:
            raise InputError(where, f"values of several types in a column ({error})", "one type a column") from None
    absent = [column.name for column in source.columns if column.name not in frame.columns]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in absent)
    typed = conform(frame, source.columns, [""], where)
    for column in source.columns:
        found, row = typed[column.name], 0
        if column.dtype == "integer" and found.dtype != POLARS["integer"]:
            row = int((found != found.round()).arg_max() or 0)
            raise InputError(f"{where}, row {row + 1}, column {column.name!r}", f"{found[row]}", "a whole number")
        if column.name in (table.time, table.id) and found.null_count():
            row = int(found.is_null().arg_max() or 0)
            raise InputError(f"{where}, row {row + 1}", f"no {column.name!r}", "a value in every row")
    return frame.with_columns(typed.get_columns())


def _required(source: Source) -> list[str]:
    optional = {source.table.available, source.table.deleted}
    return [column.name for column in source.columns if column.name not in optional]


def _complete(source: Source, where: str, rows: list[dict[str, Any]]) -> None:
    """Every row has every key, so that a name that is misspelt is not a missing value."""
    required, deleted = set(_required(source)), source.table.deleted
    named = {source.table.time, source.table.id}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(f"{where}, row {number}", f"{type(row).__name__} {str(row)[:40]!r}", "an object")
        if lacks := required - row.keys():
            if deleted is not None and row.get(deleted) is True and not lacks & named:
                continue
            name = min(lacks)
            raise InputError(f"{where}, row {number}", f"no {name!r}", "a value or null", nearest(name, list(row)))
    if not rows:
        raise InputError(where, "no rows", "one event at least")


def available_of(table: EventTable, frame: pl.DataFrame, time: Times, now: int, where: str) -> Times:
    """From when events that are told now are known (microseconds): what their column says, or else from now, and not
    before their delay is over."""
    if table.available is not None:
        column = frame[table.available].cast(pl.Datetime("us")).fill_null(_EPOCH + pl.duration(microseconds=now))
        return times_of(column, where)
    return np.maximum(time + (duration_us(table.delay) if table.delay else 0), now)


_EPOCH = datetime(1970, 1, 1)


def batch_of(source: Source, frame: pl.DataFrame, available: Times, first: int) -> Batch:
    """Events as the store takes them; where they have no ids they stand at positions from `first` on."""
    table = source.table
    time = times_of(frame[table.time], "events")
    alive = np.ones(frame.height, bool)
    if table.deleted is not None:
        alive = ~frame[table.deleted].fill_null(False).to_numpy()
    places = pl.Series(range(first, first + frame.height)) if table.id is None else frame[table.id]
    if places.dtype.is_temporal():
        places = places.to_physical()
    return Batch(time, available, alive, places.cast(pl.Int64) if table.id is None else places, plain(source, frame))


def batch_of_records(source: Source, records: pl.DataFrame) -> Batch:
    """The same of records of the log, which say themselves from when they are known."""
    available = times_of(records["available"], "the log")
    batch = batch_of(source, from_payloads(records, source.columns), available, 0)
    return batch if source.table.id is not None else structs.replace(batch, places=records["position"])


def since_history(source: Source, batch: Batch) -> Batch:
    """The events of a stream that history has not told: those that have an id, for which it makes no difference, and
    those that were known after the watermark."""
    return batch if source.table.id is not None else batch.some(batch.available > source.watermark)


def plain(source: Source, frame: pl.DataFrame) -> pl.DataFrame:
    """The values that windows read, times as whole numbers."""
    return frame.select(pl.col(name).to_physical() for name in source.values).cast(source.plain)  # type: ignore[arg-type]


def payloads(frame: pl.DataFrame) -> list[str]:
    """Events as the log keeps them: JSON."""
    return frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()


def from_payloads(records: pl.DataFrame, columns: list[Column]) -> pl.DataFrame:
    """Some columns of the events that records of the log tell of, in their types."""
    schema = {column.name: POLARS.get(column.dtype, pl.String) for column in columns}
    return records["payload"].str.json_decode(pl.Struct(schema)).struct.unnest()
