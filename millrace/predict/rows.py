"""From dicts to the arrays that the graph takes, fast where values are clean and precise where they are not."""

import math
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from operator import getitem, itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from millrace.errors import InputError, nearest
from millrace.features import CODES, Codes, Feeds, Session, text_of
from millrace.features.calendar import MISSING_TIME
from millrace.tables import Column, Schema
from millrace.tables.written import parse_number, parse_time

Row = dict[str, Any]
_EPOCH = datetime(1970, 1, 1)
_AMISS = (KeyError, TypeError, ValueError, OverflowError, struct.error)
"""What a value raises that is not of the plain type; a look at each value then tells what it is."""


class _Input(Struct, frozen=True):
    """One input of the graph, and the columns of which it is made."""

    name: str
    columns: list[Column]
    values: Callable[[Row], tuple[Any, ...]]
    read: "Reader"
    dtype: Any
    ways: list["Way"]  # from the fastest on, for values of plain types
    letter: str = ""  # by which `struct` packs the values; none where they are no numbers
    codes: list[Codes] = []  # of text, one set a column, where the input takes them


class RowReader:
    """Makes feeds of rows. One reader serves many threads: the buffers for single rows are one set per thread."""

    def __init__(self, session: Session, schema: Schema) -> None:
        columns = {column.name: column for column in schema.columns}
        self._missing = frozenset(["", *schema.missing])
        self._inputs = [
            _input(group, [columns[name] for name in names], session.codes) for group, names in session.groups.items()
        ]
        self._local = threading.local()

    def one(self, row: Row) -> Feeds:
        """Feeds of a single row, in buffers that the next call of this thread overwrites."""
        try:
            feeds, fill, others = self._local.buffers
        except AttributeError:
            feeds, fill, others = self._local.buffers = self._buffers()
        try:
            for pack, buffer, values in fill:
                pack(buffer, 0, *values(row))
        except _AMISS:
            return self.many([row])
        for one in others:
            feeds[one.name] = self._array(one, [row])
        return feeds  # type: ignore[no-any-return]

    def many(self, rows: list[Row]) -> Feeds:
        """Feeds of several rows."""
        return {one.name: self._array(one, rows) for one in self._inputs}

    def problems(self, rows: list[Row], most: int) -> list[dict[str, Any]]:
        """See `Predictor.problems`."""
        found: list[dict[str, Any]] = []
        for number, row in enumerate(rows, 1):
            for one in self._inputs:
                for column in one.columns:
                    try:
                        self._value(row, number, one.read, column)
                    except InputError as error:
                        told = {"row": number, "column": column.name, "found": error.found, "expected": error.expected}
                        found.append(told | ({"do": error.do} if error.do else {}))
                        if len(found) == most:
                            return found
        return found

    def _buffers(self) -> tuple[Feeds, list[Any], list[_Input]]:
        """Arrays for one row, how to fill those of numbers, and the inputs that are none."""
        feeds: Feeds = {}
        fill: list[Any] = []
        for one in self._inputs:
            if one.letter:
                feeds[one.name] = np.empty((1, len(one.columns)), one.dtype)
                pack = struct.Struct(f"{len(one.columns)}{one.letter}").pack_into
                fill.append((pack, feeds[one.name].data.cast("B"), _coded(one) if one.codes else one.values))
        return feeds, fill, [one for one in self._inputs if not one.letter]

    def _array(self, one: _Input, rows: list[Row]) -> npt.NDArray[Any]:
        """One input, `(N, columns)`."""
        for way in one.ways:
            with suppress(*_AMISS):
                return way(one, rows)
        return self._slowly(one, rows)

    def _slowly(self, one: _Input, rows: list[Row]) -> npt.NDArray[Any]:
        """Value by value: missing ones, times, numbers written as text; errors name the row and the column."""
        values = [
            [self._value(row, number, one.read, column) for column in one.columns] for number, row in enumerate(rows, 1)
        ]
        if one.codes:
            values = [list(map(getitem, one.codes, some)) for some in values]
        elif one.read is _vector:
            nothing = [math.nan] * (one.columns[0].width or 0)
            values = [nothing if vector is None else vector for (vector,) in values]
        with np.errstate(over="ignore"):
            return np.array(values, dtype=one.dtype).reshape(len(rows), -1)

    def _value(self, row: Row, number: int, read: "Reader", column: Column) -> Any:
        name = column.name
        where = f"row {number}, column {name!r}"
        if not isinstance(row, dict):
            raise InputError(
                f"row {number}", f"{type(row).__name__} {str(row)[:40]!r}", "an object of columns and values"
            )
        if name not in row:
            hint = "a window feature's column must be in the rows" if column.window else nearest(name, list(row))
            raise InputError(where, "no such column in the row", "every column of the model (null where missing)", hint)
        value = row[name]
        if isinstance(value, np.generic):
            value = value.item()
        if (
            value is None
            or (isinstance(value, float) and math.isnan(value))
            or (isinstance(value, str) and value in self._missing)
        ):
            return _MISSING[read]
        try:
            return read(value, column)
        except (ValueError, TypeError, OverflowError):
            shown = "" if isinstance(value, list | dict) else f" {str(value)[:60]!r}"
            raise InputError(where, f"the value{shown} ({type(value).__name__})", _EXPECTED[read]) from None


def _input(group: str, columns: list[Column], codes: list[Codes]) -> _Input:
    values = _getter([column.name for column in columns])
    if group == "strings" and codes:
        return _Input(CODES, columns, values, _text, np.float32, [_codes], "f", codes)
    if group in _NUMBERS:
        dtype, letter = _NUMBERS[group]
        return _Input(group, columns, values, _number, dtype, [_numbers, _numbers_and_holes], letter)
    if group == "strings":
        return _Input(group, columns, values, _text, object, [_texts])
    if group == "times":
        return _Input(group, columns, values, moment_of, np.int64, [])
    return _Input(group, columns, values, _vector, np.float32, [])


def _numbers(one: _Input, rows: list[Row]) -> npt.NDArray[Any]:
    """Numbers, none of them missing."""
    return _packed(one, len(rows), chain.from_iterable(map(one.values, rows)))


def _numbers_and_holes(one: _Input, rows: list[Row]) -> npt.NDArray[Any]:
    flat = chain.from_iterable(map(one.values, rows))
    return _packed(one, len(rows), (math.nan if value is None else value for value in flat))


def _codes(one: _Input, rows: list[Row]) -> npt.NDArray[Any]:
    """The codes of text, looked up column by column, which keeps one table at a time near."""
    columns = zip(one.codes, zip(*map(one.values, rows), strict=True), strict=True)
    found = chain.from_iterable(map(known.__getitem__, values) for known, values in columns)
    return np.ascontiguousarray(_packed(one, len(rows), found).reshape(-1, len(rows)).T)


def _packed(one: _Input, rows: int, values: Iterable[float]) -> npt.NDArray[Any]:
    """Unlike NumPy, `struct` takes no text for a number."""
    width = len(one.columns)
    return np.frombuffer(struct.pack(f"{rows * width}{one.letter}", *values), one.dtype).reshape(rows, width)


def _texts(one: _Input, rows: list[Row]) -> npt.NDArray[Any]:
    """Text that has no codes."""
    values = [tuple("" if value is None else value for value in one.values(row)) for row in rows]
    "".join(chain.from_iterable(values)).encode()  # the fastest question whether all are text
    return np.array(values, dtype=object)


def _coded(one: _Input) -> Callable[[Row], Iterable[float]]:
    return lambda row: map(getitem, one.codes, one.values(row))


Reader = Callable[[Any, Column], Any]
Way = Callable[[_Input, list[Row]], npt.NDArray[Any]]


def _getter(names: list[str]) -> Callable[[Row], tuple[Any, ...]]:
    """The values of some columns as a tuple, also where it is only one."""
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda row: (row[name],)


def _vector(value: Any, column: Column) -> list[float]:
    if isinstance(value, str) or len(value) != column.width:
        raise TypeError
    return [float(number) for number in value]


def _number(value: Any, column: Column) -> float:
    if isinstance(value, str) and column.dtype == "boolean":
        return {"true": 1.0, "false": 0.0}[value.lower()] if value.lower() in ("true", "false") else float("x")
    if isinstance(value, str) and column.written is not None:
        return parse_number(value, column.written)
    if isinstance(value, str | int | float):
        return float(value)
    raise TypeError


def _text(value: Any, column: Column) -> str:
    return text_of(value)


def moment_of(value: Any, column: Column | None = None) -> int:
    """A time, a date, or the ISO 8601 text of one, in microseconds since 1970 UTC; also as times were written in the
    training table, where the `column` is known. Raises `TypeError`, `ValueError` or `OverflowError`.

    >>> moment_of("1970-01-01T01:00:00.5+01:00")
    500000
    """
    if column is not None and column.written is not None and isinstance(value, str | int | float):
        value = _written_time(value, column.written)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, date):
        raise TypeError
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    past: timedelta = value - _EPOCH
    return (past.days * 86_400 + past.seconds) * 10**6 + past.microseconds


def _written_time(value: Any, written: str) -> datetime:
    """As in the training table, or else ISO 8601, which is what a typed table turns times into."""
    try:
        return parse_time(value, written)
    except ValueError:
        return datetime.fromisoformat(value)


_NUMBERS: dict[str, tuple[Any, str]] = {"numbers": (np.float32, "f"), "doubles": (np.float64, "d")}
_MISSING: dict[Reader, Any] = {_number: float("nan"), _text: "", moment_of: MISSING_TIME, _vector: None}
_EXPECTED: dict[Reader, str] = {
    _number: "a number",
    _text: "text",
    moment_of: "an ISO 8601 time",
    _vector: "a list of numbers, as many as in training",
}
