"""From rows to the arrays that the graph takes, fast where values are clean and precise where they are not."""

import math
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter, getitem, itemgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from millrace.errors import InputError, nearest
from millrace.features import CODES, Codes, Feeds, Session
from millrace.predict.values import Reader, category_of, moment_of, number_of, read_value, vector_of
from millrace.tables import Column, Schema

Row = dict[str, Any]
_Values = tuple[Any, ...]
_AMISS = (KeyError, TypeError, ValueError, OverflowError, struct.error)
"""What a value raises that is not of the plain type; a look at each value then tells what it is."""


class _Input(Struct, frozen=True):
    """One input of the graph, and where the values of its columns stand among those of a row."""

    name: str
    columns: list[Column]
    at: slice
    read: Reader
    dtype: Any
    ways: list["_Way"]  # from the fastest on, for values of plain types
    letter: str = ""  # by which `struct` packs the values; none where they are no numbers
    codes: list[Codes] = []  # of text, one set a column, where the input takes them


_Way = Callable[[_Input, list[_Values]], npt.NDArray[Any]]


class RowReader:
    """Makes feeds of rows: of dicts, or, with `typed`, of objects of the type that `row_type` made for the columns.

    One reader serves many threads: the buffers for single rows are one set per thread.
    """

    def __init__(self, session: Session, schema: Schema, typed: bool = False) -> None:
        known = {column.name: column for column in schema.columns}
        self._missing = frozenset(["", *schema.missing])
        self._inputs: list[_Input] = []
        self._each: list[tuple[_Input, Column]] = []
        for group, names in session.groups.items():
            at = slice(len(self._each), len(self._each) + len(names))
            one = _input(group, [known[name] for name in names], at, session.codes)
            self._inputs.append(one)
            self._each += [(one, column) for column in one.columns]
        names = [column.name for _, column in self._each]
        self._values: Callable[[Any], _Values] = msgspec.structs.astuple if typed else _getter(names)
        self._local = threading.local()

    def one(self, row: Any) -> Feeds:
        """Feeds of a single row, in buffers that the next call of this thread overwrites."""
        try:
            feeds, fill, others = self._local.buffers
        except AttributeError:
            feeds, fill, others = self._local.buffers = self._buffers()
        try:
            values = self._values(row)
            for pack, buffer, at, codes in fill:
                pack(buffer, 0, *(map(getitem, codes, values[at]) if codes else values[at]))
        except _AMISS:
            return self.many([row])
        for one in others:
            feeds[one.name] = self._array(one, [(value,) for value in values[one.at]])
        return feeds  # type: ignore[no-any-return]

    def many(self, rows: Sequence[Any]) -> Feeds:
        """Feeds of several rows."""
        try:
            columns = list(zip(*map(self._values, rows), strict=True))
        except (KeyError, TypeError):
            for number, row in enumerate(rows, 1):
                for one, column in self._each:
                    self._look(row, number, one, column)
            raise
        return {one.name: self._array(one, columns[one.at]) for one in self._inputs}

    def problems(self, rows: list[Row], most: int) -> list[dict[str, Any]]:
        """See `Predictor.problems`."""
        found: list[dict[str, Any]] = []
        for number, row in enumerate(rows, 1):
            for one, column in self._each:
                try:
                    self._look(row, number, one, column)
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
                fill.append((pack, feeds[one.name].data.cast("B"), one.at, one.codes))
        return feeds, fill, [one for one in self._inputs if not one.letter]

    def _array(self, one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
        """One input, `(N, columns)`."""
        for way in one.ways:
            with suppress(*_AMISS):
                return way(one, columns)
        return self._slowly(one, columns)

    def _slowly(self, one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
        """Value by value: missing ones, times, numbers written as text; errors name the row and the column."""
        values: list[Any] = [
            [self._value(value, number, one, column) for column, value in zip(one.columns, row, strict=True)]
            for number, row in enumerate(zip(*columns, strict=True), 1)
        ]
        if one.codes:
            values = [list(map(getitem, one.codes, row)) for row in values]
        elif one.read is vector_of:
            nothing = [math.nan] * (one.columns[0].width or 0)
            values = [nothing if vector is None else vector for (vector,) in values]
        with np.errstate(over="ignore"):
            return np.array(values, dtype=one.dtype).reshape(len(values), -1)

    def _value(self, value: Any, number: int, one: _Input, column: Column) -> Any:
        return read_value(value, f"row {number}, column {column.name!r}", column, one.read, self._missing)

    def _look(self, row: Any, number: int, one: _Input, column: Column) -> None:
        """Raises `InputError` where a row has no value in a column, or one that cannot be used."""
        self._value(_present(row, number, column), number, one, column)


def row_type(names: list[str], id: str | None) -> type[Struct] | None:
    """A type for rows that have some columns, in this order, perhaps an `id`, the last field, and nothing else: what is
    skipped is not checked. Decoding into it takes half the time of decoding into dicts. None where there is a name that
    no field may have.

    >>> Row = row_type(["a b", "c"], None)
    >>> msgspec.json.decode(b'{"c": 1, "a b": 2}', type=Row)
    Row(c0=2, c1=1)
    """
    fields: list[tuple[str, type] | tuple[str, type, Any]] = [(f"c{at}", Any) for at in range(len(names))]
    if id is not None and id not in names:
        fields.append((f"c{len(names)}", Any, msgspec.UNSET))
        names = [*names, id]
    renamed = {field[0]: name for field, name in zip(fields, names, strict=True)}
    try:
        return msgspec.defstruct("Row", fields, rename=renamed, gc=False, forbid_unknown_fields=True)
    except ValueError:
        return None


def id_getter(rows: type[Struct], id: str) -> Callable[[Struct], Any]:
    """What tells the id of a row of such a type; `UNSET` where it brings none."""
    return attrgetter(next(field.name for field in msgspec.structs.fields(rows) if field.encode_name == id))


def _present(row: Any, number: int, column: Column) -> Any:
    """The value of a column in a row; raises `InputError` where there is none."""
    if not isinstance(row, dict):
        raise InputError(f"row {number}", f"{type(row).__name__} {str(row)[:40]!r}", "an object of columns and values")
    if column.name not in row:
        hint = "a window feature's column must be in the rows" if column.window else nearest(column.name, list(row))
        where, expected = f"row {number}, column {column.name!r}", "every column of the model (null where missing)"
        raise InputError(where, "no such column in the row", expected, hint)
    return row[column.name]


def _getter(names: list[str]) -> Callable[[Row], _Values]:
    """The values of some columns as a tuple, also where it is only one."""
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda row: (row[name],)


def _input(group: str, columns: list[Column], at: slice, codes: list[Codes]) -> _Input:
    if group == "strings" and codes:
        return _Input(CODES, columns, at, category_of, np.float32, [_codes], "f", codes)
    if group in _NUMBERS:
        dtype, letter = _NUMBERS[group]
        return _Input(group, columns, at, number_of, dtype, [_numbers, _numbers_and_holes], letter)
    if group == "strings":
        return _Input(group, columns, at, category_of, object, [_texts])
    if group == "times":
        return _Input(group, columns, at, moment_of, np.int64, [])
    return _Input(group, columns, at, vector_of, np.float32, [])


def _numbers(one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
    """Numbers, none of them missing."""
    return _packed(one, len(columns[0]), chain.from_iterable(columns))


def _numbers_and_holes(one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
    values = (math.nan if value is None else value for value in chain.from_iterable(columns))
    return _packed(one, len(columns[0]), values)


def _codes(one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
    """The codes of text."""
    found = (map(codes.__getitem__, values) for codes, values in zip(one.codes, columns, strict=True))
    return _packed(one, len(columns[0]), chain.from_iterable(found))


def _packed(one: _Input, rows: int, values: Iterable[float]) -> npt.NDArray[Any]:
    """Values, column after column, as an array. Unlike NumPy, `struct` takes no text for a number."""
    width = len(one.columns)
    packed = np.frombuffer(struct.pack(f"{rows * width}{one.letter}", *values), one.dtype)
    return np.ascontiguousarray(packed.reshape(width, rows).T)


def _texts(one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
    """Text that has no codes."""
    values = [["" if value is None else value for value in column] for column in columns]
    "".join(chain.from_iterable(values)).encode()  # the fastest question whether all are text
    return np.ascontiguousarray(np.array(values, dtype=object).T)


_NUMBERS: dict[str, tuple[Any, str]] = {"numbers": (np.float32, "f"), "doubles": (np.float64, "d")}
