"""Events as people and programs tell them: rows, tables, records of the log; and as the store takes them."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import structs

from headrace.arrays import Integers
from headrace.clock import to_datetime, to_us
from headrace.errors import InputError, nearest
from headrace.spec import EventTable, duration_us
from headrace.store.layout import EventSource
from headrace.store.versions import Version, Versions
from headrace.tables import POLARS, Column, conform, polars_of
from headrace.windows import to_times

EventRows = Any
"""An event, a list of them, or a Polars, pandas or Arrow table."""


def _frame_of(
    source: EventSource, where: str, told: list[dict[str, Any]] | pl.DataFrame
) -> pl.DataFrame:
    """Events as a table, the columns that are needed in their types; others stay as they are."""
    table = source.table
    if isinstance(told, pl.DataFrame):
        frame = told
        if lacks := [name for name in _required(source) if name not in frame.columns]:
            hint = nearest(lacks[0], frame.columns)
            raise InputError(
                where,
                f"no column {lacks[0]!r}",
                f"the columns {', '.join(_required(source))}",
                hint,
            )
    else:
        try:
            frame = pl.DataFrame(told, infer_schema_length=None)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                where, f"values of several types in a column ({error})", "one type a column"
            ) from None
    absent = [column.name for column in source.columns if column.name not in frame.columns]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in absent)
    typed = conform(frame, source.columns, [""], where).with_columns(cs.float().fill_nan(None))
    for column in source.columns:
        found, row = typed[column.name], 0
        if column.dtype == "integer" and found.dtype != POLARS["integer"]:
            row = int((found != found.round()).arg_max() or 0)
            raise InputError(
                f"{where}, row {row + 1}, column {column.name!r}", f"{found[row]}", "a whole number"
            )
        if found.dtype.is_float() and found.is_infinite().any():
            row = int(found.is_infinite().arg_max() or 0)
            raise InputError(
                f"{where}, row {row + 1}, column {column.name!r}",
                f"{found[row]}",
                "a finite number",
            )
        if column.name in (table.time, table.id) and found.null_count():
            row = int(found.is_null().arg_max() or 0)
            raise InputError(
                f"{where}, row {row + 1}", f"no {column.name!r}", "a value in every row"
            )
    return frame.with_columns(typed.get_columns())


def _required(source: EventSource) -> list[str]:
    optional = {source.table.available, source.table.deleted}
    return [column.name for column in source.columns if column.name not in optional]


def _complete(source: EventSource, where: str, rows: list[dict[str, Any]]) -> None:
    """Every row has every key, so that a name that is misspelt is not a missing value."""
    required, deleted = set(_required(source)), source.table.deleted
    named = {source.table.time, source.table.id}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(
                f"{where}, row {number}", f"{type(row).__name__} {str(row)[:40]!r}", "an object"
            )
        if lacks := required - row.keys():
            if deleted is not None and row.get(deleted) is True and not lacks & named:
                continue
            name = min(lacks)
            raise InputError(
                f"{where}, row {number}",
                f"no {name!r}",
                "a value or null",
                nearest(name, list(row)),
            )
    if not rows:
        raise InputError(where, "no rows", "one event at least")


def parse_events(
    source: EventSource, events: str, told: EventRows, now: int
) -> tuple[Versions, list[bytes]]:
    """Events as the store takes them, and as the log keeps them (JSON).

    Parameters: `now`, from when they are known where nothing else says it (microseconds). Those
    without ids stand at the positions 0, 1, …; see `assign_sequence`. A row that tells of a
    deletion needs its id and its time alone. Raises `InputError` naming the row and the column.
    """
    where = f"events {events!r}"
    rows: Any = polars_of(told, where)
    if rows is None:
        rows = [dict(told)] if isinstance(told, Mapping) else told
        if not isinstance(rows, list):
            kinds = "a dict, a list of dicts, or a Polars, pandas or Arrow table"
            raise InputError(where, f"events of type {type(told).__name__}", kinds)
        _complete(source, where, rows)
        with suppress(ValueError, TypeError, OverflowError):
            return _plainly(source, rows, now)
    frame = _frame_of(source, where, rows)
    available = _available_of(source.table, frame, now, where)
    texts = frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
    return versions_from_frame(source, frame, available, 0), [text.encode() for text in texts]


def assign_sequence(versions: Versions, first: int) -> Versions:
    """Versions of events without ids at their positions in the log, from one on."""
    return [structs.replace(one, sequence=at) for at, one in enumerate(versions, first)]


def _plainly(source: EventSource, rows: list[Any], now: int) -> tuple[Versions, list[bytes]]:
    """Rows whose values are of their columns' types already, without a table; raises `ValueError` for others."""
    table, delay = source.table, duration_us(source.table.delay) if source.table.delay else 0
    columns = [
        (column.name, _PLAIN[column.dtype]) for column in source.columns if column.dtype in _PLAIN
    ]
    if len(columns) < len(source.columns):
        raise ValueError
    moments = [column.name for column in source.columns if column.dtype == "datetime"]
    versions, texts = [], []
    for at, row in enumerate(rows):
        found = {
            name: None if (value := row.get(name)) is None else read(value)
            for name, read in columns
        }
        time, place = found[table.time], at if table.id is None else found[table.id]
        if time is None or place is None:
            raise ValueError
        available = max(time + delay, now)
        if table.available is not None:
            said = found[table.available]
            available = now if said is None else said
        alive = table.deleted is None or not found[table.deleted]
        versions.append(
            Version(available, time, alive, place, [found[name] for name in source.values])
        )
        times = {name: to_datetime(us) for name in moments if (us := found[name]) is not None}
        texts.append(msgspec.json.encode({**row, **times}))
    return versions, texts


def _moment(value: Any) -> int:
    if type(value) is str:
        value = datetime.fromisoformat(value)
    if type(value) is not datetime:
        raise ValueError
    return to_us(value)


def _whole(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _of(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError
        return value

    return read


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "integer": _whole,
    "number": _number,
    "boolean": _of(bool),
    "string": _of(str),
    "datetime": _moment,
}


def _available_of(table: EventTable, frame: pl.DataFrame, now: int, where: str) -> Integers:
    """From when events that are told now are known (microseconds): what their column says, or else
    from now, and not before their delay is over.
    """
    if table.available is not None:
        column = frame[table.available].cast(pl.Datetime("us")).fill_null(to_datetime(now))
        return to_times(column, where)
    return np.maximum(
        to_times(frame[table.time], where) + (duration_us(table.delay) if table.delay else 0), now
    )


def versions_from_frame(
    source: EventSource, frame: pl.DataFrame, available: Integers, first: int
) -> Versions:
    """The events of a table as the store takes them; where they have no ids they stand at positions from `first` on."""
    table = source.table
    time = to_times(frame[table.time], "events").tolist()
    alive = [True] * frame.height
    if table.deleted is not None:
        alive = (~frame[table.deleted].fill_null(False)).to_list()
    places = (
        range(first, first + frame.height)
        if table.id is None
        else frame[table.id].to_physical().to_list()
    )
    rows = map(list, value_columns(source, frame).rows())
    return [
        Version(*one) for one in zip(available.tolist(), time, alive, places, rows, strict=True)
    ]


def versions_from_records(source: EventSource, records: pl.DataFrame) -> Versions:
    """The same of records of the log, which say themselves from when they are known."""
    available = to_times(records["available"], "the log")
    versions = versions_from_frame(source, decode_payloads(records, source.columns), available, 0)
    if source.table.id is not None:
        return versions
    sequences = records["position"].to_list()
    return [
        structs.replace(one, sequence=sequence)
        for one, sequence in zip(versions, sequences, strict=True)
    ]


def drop_before_watermark(source: EventSource, versions: Versions) -> Versions:
    """The events of a stream that history has not told: those that have an id, for which it makes
    no difference, and those that were known after the watermark.
    """
    if source.table.id is not None:
        return versions
    return [one for one in versions if one.available > source.watermark]


def value_columns(source: EventSource, frame: pl.DataFrame) -> pl.DataFrame:
    """The values that windows read, times as whole numbers."""
    return frame.select(cs.by_name(*source.values).to_physical()).cast(source.plain)  # type: ignore[arg-type]


def decode_payloads(records: pl.DataFrame, columns: list[Column]) -> pl.DataFrame:
    """Some columns of the events that records of the log tell of, in their types."""
    schema = {column.name: POLARS.get(column.dtype, pl.String) for column in columns}
    return records["payload"].str.json_decode(pl.Struct(schema)).struct.unnest()
