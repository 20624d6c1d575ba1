"""From dicts to the arrays that the graph takes, fast where values are clean and precise where they are not."""

import math
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from millrace.errors import InputError, nearest
from millrace.features import Feeds
from millrace.features.calendar import MISSING_TIME
from millrace.spec import label_text
from millrace.tables import Column, Schema
from millrace.tables.written import parse_number, parse_time

Row = dict[str, Any]
_EPOCH = datetime(1970, 1, 1)
_NUMBER_TYPES = {"numbers": ("f", np.float32), "doubles": ("d", np.float64)}
_FAST = ("numbers", "doubles", "strings")


class RowReader:
    """Makes feeds of rows. One reader serves many threads: the buffers for single rows are one set per thread."""

    def __init__(self, groups: dict[str, list[str]], schema: Schema) -> None:
        self._groups = groups
        self._columns = {column.name: column for column in schema.columns}
        self._missing = frozenset(["", *schema.missing])
        self._getters = {group: _getter(names) for group, names in groups.items()}
        self._plain_text = all(self._columns[name].dtype == "string" for name in groups.get("strings", []))
        self._slow = not self._plain_text or any(group not in _FAST for group in groups)
        self._local = threading.local()

    def one(self, row: Row) -> Feeds:
        """Feeds of a single row, in buffers that the next call of this thread overwrites."""
        try:
            feeds, packers, texts = self._local.buffers
        except AttributeError:
            feeds, packers, texts = self._local.buffers = self._buffers()
        try:
            for buffer, pack, getter in packers:
                pack(buffer, 0, *getter(row))
            if texts is not None:
                values = self._getters["strings"](row)
                "".join(values)  # the fastest question whether all are text
                texts[0] = values
        except (KeyError, TypeError, struct.error, OverflowError):
            return self.many([row])
        return feeds  # type: ignore[no-any-return]

    def many(self, rows: list[Row]) -> Feeds:
        """Feeds of several rows."""
        if not self._slow:
            for holes in (False, True):
                with suppress(KeyError, TypeError, ValueError, OverflowError):
                    return self._plainly(rows, holes)
        return self._slowly(rows)

    def _plainly(self, rows: list[Row], holes: bool) -> Feeds:
        """Values of the right types; with `holes`, some are missing. Raises for any other."""
        feeds: Feeds = {}
        for group, (_, dtype) in _NUMBER_TYPES.items():
            if group in self._groups:
                flat: Iterable[Any] = chain.from_iterable(map(self._getters[group], rows))
                if holes:
                    flat = (math.nan if value is None else value for value in flat)
                width = len(self._groups[group])
                with np.errstate(over="ignore"):
                    feeds[group] = np.fromiter(flat, dtype, len(rows) * width).reshape(len(rows), width)
        if "strings" in self._groups:
            values = list(map(self._getters["strings"], rows))
            if holes:
                values = [tuple("" if value is None else value for value in some) for some in values]
            "".join(chain.from_iterable(values))
            feeds["strings"] = np.array(values, dtype=object)
        return feeds

    def problems(self, rows: list[Row], most: int) -> list[dict[str, Any]]:
        """See `Predictor.problems`."""
        found: list[dict[str, Any]] = []
        for number, row in enumerate(rows, 1):
            for group, names in self._groups.items():
                for name in names:
                    try:
                        self._value(row, number, name, _READERS.get(group, _vector), self._columns[name])
                    except InputError as error:
                        told = {"row": number, "column": name, "found": error.found, "expected": error.expected}
                        found.append(told | ({"do": error.do} if error.do else {}))
                        if len(found) == most:
                            return found
        return found

    def _buffers(self) -> tuple[Feeds, list[Any], Any]:
        """Arrays for one row, how to fill the numbers, and the array of text; with times every row goes slowly."""
        feeds: Feeds = {}
        packers: list[Any] = []
        for group, (letter, dtype) in _NUMBER_TYPES.items():
            if group in self._groups:
                feeds[group] = np.empty((1, len(self._groups[group])), dtype)
                pack = struct.Struct(f"{len(self._groups[group])}{letter}").pack_into
                packers.append((feeds[group].data.cast("B"), pack, self._getters[group]))
        texts = None
        if "strings" in self._groups:
            texts = feeds["strings"] = np.empty((1, len(self._groups["strings"])), dtype=object)
        if self._slow:
            packers.insert(0, (None, _refuse, lambda row: ()))
        return feeds, packers, texts

    def _slowly(self, rows: list[Row]) -> Feeds:
        """Value by value: missing ones, times, numbers written as text; errors name the row and the column."""
        feeds: Feeds = {}
        for group, names in self._groups.items():
            if group not in _READERS:
                feeds[group] = self._vectors(rows, self._columns[names[0]])
                continue
            readers = [(name, _READERS[group], self._columns[name]) for name in names]
            values = [
                [self._value(row, number, name, read, column) for name, read, column in readers]
                for number, row in enumerate(rows, 1)
            ]
            dtype: Any = {"numbers": np.float32, "doubles": np.float64, "strings": object, "times": np.int64}[group]
            with np.errstate(over="ignore"):
                feeds[group] = np.array(values, dtype=dtype).reshape(len(rows), len(names))
        return feeds

    def _vectors(self, rows: list[Row], column: Column) -> Any:
        vectors = [self._value(row, number, column.name, _vector, column) for number, row in enumerate(rows, 1)]
        nothing = [math.nan] * (column.width or 0)
        return np.array([nothing if vector is None else vector for vector in vectors], np.float32)

    def _value(self, row: Row, number: int, name: str, read: "Reader", column: Column) -> Any:
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


Reader = Callable[[Any, Column], Any]


def _getter(names: list[str]) -> Callable[[Row], tuple[Any, ...]]:
    """The values of some columns as a tuple, also where it is only one."""
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda row: (row[name],)


def _refuse(*_: Any) -> None:
    raise TypeError


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
    if not isinstance(value, str | int | float):
        raise TypeError
    value.encode("utf-8") if isinstance(value, str) else None  # a lone surrogate is no text
    return value if isinstance(value, str) else label_text(value)


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


_READERS: dict[str, Reader] = {"numbers": _number, "doubles": _number, "strings": _text, "times": moment_of}
_MISSING: dict[Reader, Any] = {_number: float("nan"), _text: "", moment_of: MISSING_TIME, _vector: None}
_EXPECTED: dict[Reader, str] = {
    _number: "a number",
    _text: "text",
    moment_of: "an ISO 8601 time",
    _vector: "a list of numbers, as many as in training",
}
