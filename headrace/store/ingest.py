"""Takes in events: from rows, tables and records of the log to versions, which the store applies.

    rows (dicts) ---> values of plain types -----------+
         |  a value of another type                    v
         +----------> a table ---> checked columns ---> versions (store) and JSON texts (log)
    a table ----------^

Both ways give the same versions. The upper one is for speed: for a few rows, to build a table would
take most of the time.
"""

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
from headrace.spec import EventTable, parse_duration_us
from headrace.store.layout import EventSource
from headrace.store.versions import Version, Versions
from headrace.tables import POLARS, Column, conform, to_polars
from headrace.windows import convert_times

EventRows = Any
"""An event, a list of them, or a Polars, pandas or Arrow table."""


def parse_events(
    source: EventSource, events: str, rows: EventRows, now: int
) -> tuple[Versions, list[bytes]]:
    """Parse events into versions for the store, and into JSON texts for the log.

    Parameters: `events`, the name of their table; `now`, from when they are known where no column
    says it (microseconds). Events without ids have the sequences 0, 1, …; see `assign_sequence`. A
    row that deletes an event needs its id and its time alone. Raises `InputError` naming the row
    and the column.
    """
    where = f"events {events!r}"
    # All rows of a table have the same columns; dicts are checked one by one.
    table: Any = to_polars(rows, where)
    if table is not None:
        _check_columns(source, where, table)
    else:
        rows = [dict(rows)] if isinstance(rows, Mapping) else rows
        if not isinstance(rows, list):
            kinds = "a dict, a list of dicts, or a Polars, pandas or Arrow table"
            raise InputError(where, f"events of type {type(rows).__name__}", kinds)
        _check_complete(source, where, rows)
        # What is not of its column's plain type is converted, or refused, by way of a table.
        with suppress(ValueError, TypeError, OverflowError):
            return _parse_plain_rows(source, rows, now)
        table = _build_table(where, rows)

    frame = _conform_table(source, where, table)
    available = _available_times(source.table, frame, now, where)
    texts = frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
    return versions_from_frame(source, frame, available, 0), [text.encode() for text in texts]


def _check_complete(source: EventSource, where: str, rows: list[dict[str, Any]]) -> None:
    """Check that every row has every key: a name that is misspelt is not a missing value."""
    required = set(_required_columns(source))
    deleted = source.table.deleted
    of_deletion = {source.table.time, source.table.id}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError(
                f"{where}, row {number}", f"{type(row).__name__} {str(row)[:40]!r}", "an object"
            )
        absent = required - row.keys()
        if not absent:
            continue
        if deleted is not None and row.get(deleted) is True and not absent & of_deletion:
            continue
        name = min(absent)
        raise InputError(
            f"{where}, row {number}", f"no {name!r}", "a value or null", nearest(name, list(row))
        )
    if not rows:
        raise InputError(where, "no rows", "at least one event")


def _required_columns(source: EventSource) -> list[str]:
    optional = {source.table.available, source.table.deleted}
    return [column.name for column in source.columns if column.name not in optional]


def _build_table(where: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    try:
        return pl.DataFrame(rows, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            where, f"values of several types in a column ({error})", "one type per column"
        ) from None


def _check_columns(source: EventSource, where: str, frame: pl.DataFrame) -> None:
    required = _required_columns(source)
    absent = [name for name in required if name not in frame.columns]
    if absent:
        expected = f"the columns {', '.join(required)}"
        hint = nearest(absent[0], frame.columns)
        raise InputError(where, f"no column {absent[0]!r}", expected, hint)


def _conform_table(source: EventSource, where: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table with the columns that are needed in their types; others stay as they are."""
    # Deletions need few columns, and other rows have been checked.
    absent = [column.name for column in source.columns if column.name not in frame.columns]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in absent)
    # pandas writes a missing number as NaN.
    typed = conform(frame, source.columns, [""], where).with_columns(cs.float().fill_nan(None))
    for column in source.columns:
        _check_values(source.table, column, typed[column.name], where)
    return frame.with_columns(typed.get_columns())


def _check_values(table: EventTable, column: Column, values: pl.Series, where: str) -> None:
    """Check that integers are whole, numbers are finite, and times and ids are not missing."""
    if column.dtype == "integer" and values.dtype != POLARS["integer"]:
        row = int((values != values.round()).arg_max() or 0)
        raise InputError(
            f"{where}, row {row + 1}, column {column.name!r}", f"{values[row]}", "a whole number"
        )
    if values.dtype.is_float() and values.is_infinite().any():
        row = int(values.is_infinite().arg_max() or 0)
        raise InputError(
            f"{where}, row {row + 1}, column {column.name!r}", f"{values[row]}", "a finite number"
        )
    if column.name in (table.time, table.id) and values.null_count():
        row = int(values.is_null().arg_max() or 0)
        raise InputError(f"{where}, row {row + 1}", f"no {column.name!r}", "a value in every row")


def assign_sequence(versions: Versions, first: int) -> Versions:
    """Return versions of events without ids, numbered by their positions in the log from one on."""
    return [structs.replace(one, sequence=at) for at, one in enumerate(versions, first)]


def _parse_plain_rows(
    source: EventSource, rows: list[Any], now: int
) -> tuple[Versions, list[bytes]]:
    """Parse rows whose values have their columns' types already.

    Raises `ValueError` for other rows.
    """
    table = source.table
    delay = parse_duration_us(table.delay) if table.delay else 0
    readers = [
        (column.name, _READERS[column.dtype])
        for column in source.columns
        if column.dtype in _READERS
    ]
    # A column of another type, such as a vector, takes the way by a table.
    if len(readers) < len(source.columns):
        raise ValueError
    time_names = [column.name for column in source.columns if column.dtype == "datetime"]

    versions = []
    texts = []
    for at, row in enumerate(rows):
        values = {name: read(row.get(name)) for name, read in readers}
        time = values[table.time]
        sequence = at if table.id is None else values[table.id]
        if time is None or sequence is None:
            raise ValueError

        available = max(time + delay, now)
        if table.available is not None:
            stated = values[table.available]
            available = now if stated is None else stated
        alive = table.deleted is None or not values[table.deleted]
        read_by_windows = [values[name] for name in source.values]
        versions.append(Version(available, time, alive, sequence, read_by_windows))

        # Times of every form, ISO text or `datetime`, become one form in the log.
        times = {name: to_datetime(values[name]) for name in time_names if values[name] is not None}
        texts.append(msgspec.json.encode({**row, **times}))
    return versions, texts


def _read_time(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is str:
        value = datetime.fromisoformat(value)
    if type(value) is not datetime:
        raise ValueError
    return to_us(value)


def _read_integer(value: Any) -> int | None:
    if value is None:
        return None
    # Not `isinstance`: true and false are integers to it.
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _read_number(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _read_boolean(value: Any) -> bool | None:
    if value is not None and type(value) is not bool:
        raise ValueError
    return value


def _read_string(value: Any) -> str | None:
    if value is not None and type(value) is not str:
        raise ValueError
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
    "string": _read_string,
    "datetime": _read_time,
}
"""By the type of a column: reads a value of it, or none; raises `ValueError` for any other."""


def _available_times(table: EventTable, frame: pl.DataFrame, now: int, where: str) -> Integers:
    """Return from when events that arrive now are available `(N,)` (microseconds).

    The `available` column says it, or else it is now, or the end of the delay where that is later.
    """
    if table.available is not None:
        column = frame[table.available].cast(pl.Datetime("us")).fill_null(to_datetime(now))
        return convert_times(column, where)
    delay = parse_duration_us(table.delay) if table.delay else 0
    return np.maximum(convert_times(frame[table.time], where) + delay, now)


def versions_from_frame(
    source: EventSource, frame: pl.DataFrame, available: Integers, first: int
) -> Versions:
    """Return the versions of the events of a table.

    Events without ids are numbered from `first` on.
    """
    table = source.table
    times = convert_times(frame[table.time], "events").tolist()
    alive = [True] * frame.height
    if table.deleted is not None:
        alive = (~frame[table.deleted].fill_null(False)).to_list()
    sequences: Any = range(first, first + frame.height)
    if table.id is not None:
        sequences = frame[table.id].to_physical().to_list()
    values = map(list, value_columns(source, frame).rows())
    fields = zip(available.tolist(), times, alive, sequences, values, strict=True)
    return [Version(*one) for one in fields]


def versions_from_records(source: EventSource, records: pl.DataFrame) -> Versions:
    """Return the versions of events that records of the log hold.

    Records say themselves from when they are available; those without ids keep their positions.
    """
    available = convert_times(records["available"], "the log")
    versions = versions_from_frame(source, decode_payloads(records, source.columns), available, 0)
    if source.table.id is not None:
        return versions
    positions = records["position"].to_list()
    return [
        structs.replace(version, sequence=position)
        for version, position in zip(versions, positions, strict=True)
    ]


def drop_before_watermark(source: EventSource, versions: Versions) -> Versions:
    """Drop events that the tables already hold: those available up to the watermark.

    Events with ids all stay. A second copy of one has the id of the first, so it counts once.
    """
    if source.table.id is not None:
        return versions
    return [version for version in versions if version.available > source.watermark]


def value_columns(source: EventSource, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that windows read, with times as microseconds since 1970 UTC."""
    return frame.select(cs.by_name(*source.values).to_physical()).cast(source.plain)  # type: ignore[arg-type]


def decode_payloads(records: pl.DataFrame, columns: list[Column]) -> pl.DataFrame:
    """Decode the events in records of the log: some of their columns, in their types."""
    schema = {column.name: POLARS.get(column.dtype, pl.String) for column in columns}
    return records["payload"].str.json_decode(pl.Struct(schema)).struct.unnest()
