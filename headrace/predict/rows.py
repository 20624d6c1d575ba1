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
import polars as pl
from msgspec import Struct

from headrace.errors import InputError, nearest
from headrace.features import CODES, Codes, Feeds, Session
from headrace.features.graph.blanks import BLANKS
from headrace.features.graph.reserved import RARE
from headrace.predict.gaps import GapCounter, Gaps, Knowledge, find_gaps, is_whole, may_have_gaps
from headrace.predict.values import (
    Parser,
    parse_category,
    parse_number,
    parse_time,
    parse_vector,
    read_value,
)
from headrace.spec import safe_name
from headrace.tables import Column, Schema

Row = dict[str, Any]
_Values = tuple[Any, ...]
_AMISS = (KeyError, TypeError, ValueError, OverflowError, struct.error)
"""What a value raises that is not of the plain type; a look at each value then tells what it is."""


class _Input(Struct, frozen=True):
    """One input of the graph, and where the values of its columns stand among those of a row."""

    name: str
    columns: list[Column]
    at: slice
    read: Parser
    dtype: Any
    ways: list["_Way"]  # from the fastest on, for values of plain types
    letter: str = ""  # by which `struct` packs the values; none where they are no numbers
    codes: list[Codes] = []  # of text, one set a column, where the input takes them
    flags: list[int] = []  # which columns hold 0 and 1 alone
    full: Any = None  # `(columns,)`, which columns were never missing in training


_Way = Callable[[_Input, list[_Values]], npt.NDArray[Any]]
RowGaps = dict[int, Gaps]
"""The gaps of rows by their place; rows without are not in it."""
_NO_GAPS: RowGaps = {}
_RARE = float(RARE)
_FLAGS = frozenset((0, 1))
_FLAGS_OR_NONE = _FLAGS | {None}


class RowReader:
    """Makes feeds of rows: of dicts, or, with `typed`, of objects of the type that `row_type` made
    for the columns.

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
        known_codes = (
            {}
            if not session.codes
            else dict(zip(session.groups["strings"], session.codes, strict=True))
        )
        self.knowledge = [
            Knowledge(column, self._missing, known_codes.get(column.name))
            for _, column in self._each
        ]
        names = [column.name for _, column in self._each]
        self._values: Callable[[Any], _Values] = (
            msgspec.structs.astuple if typed else _getter(names)
        )
        self._local = threading.local()

    # One pass over the row without a call between: 4 µs for twenty columns.
    def one(self, row: Any) -> tuple[Feeds, RowGaps]:  # noqa: C901, PLR0912
        """Feeds of a single row, in buffers that the next call of this thread overwrites, and its gaps."""
        try:
            feeds, fill, flags, others = self._local.buffers
        except AttributeError:
            feeds, fill, flags, others = self._local.buffers = self._buffers()
        try:
            values, odd = self._values(row), False
            for pack, buffer, at, codes, whole in fill:
                if codes:
                    found: _Values = tuple(map(getitem, codes, values[at]))
                    pack(buffer, 0, *found)
                    if _RARE in found:
                        odd = True
                else:
                    found = values[at]
                    pack(buffer, 0, *found)
                    if whole and (total := sum(found)) != total:  # one is NaN
                        odd = True
            for at, flags_of in flags:
                if not _FLAGS.issuperset(flags_of(values[at])):
                    return self.many([row])
        except _AMISS:
            return self.many([row])
        if others:
            odd = True
            for one in others:
                feeds[one.name] = self._array(one, [(value,) for value in values[one.at]])
        return feeds, self._gaps([values], [0]) if odd else _NO_GAPS

    def many(self, rows: Sequence[Any]) -> tuple[Feeds, RowGaps]:
        """Feeds of several rows, and their gaps."""
        try:
            columns = list(zip(*map(self._values, rows), strict=True))
        except (KeyError, TypeError):
            bare = [trim(row) for row in rows]
            if any(one is not row for one, row in zip(bare, rows, strict=True)):
                return self.many(bare)
            for number, row in enumerate(rows, 1):
                for one, column in self._each:
                    self._look(row, number, one, column)
            raise
        feeds = {one.name: self._array(one, columns[one.at]) for one in self._inputs}
        looked = [one for one in self._inputs if not is_whole(one.name, feeds[one.name], one.full)]
        if not looked:
            return feeds, _NO_GAPS
        odd = np.zeros(len(rows), bool)
        for one in looked:
            odd |= may_have_gaps(one.name, feeds[one.name], one.full).any(axis=1)
        places = np.flatnonzero(odd).tolist()
        return feeds, self._gaps([tuple(column[at] for column in columns) for at in places], places)

    def count(self, typed: pl.DataFrame, feeds: Feeds, tally: GapCounter) -> None:
        """Counts the gaps of typed rows, whose `feeds` show where to look."""
        told: set[str] = set()  # a code may stand in two inputs
        for one in self._inputs:
            places = may_have_gaps(one.name, feeds[one.name], one.full)
            for known, some in zip(self.knowledge[one.at], places.T, strict=True):
                if some.any() and known.column.name not in told:
                    told.add(known.column.name)
                    tally.add(known, typed.get_column(known.column.name).filter(pl.Series(some)))

    def _gaps(self, rows: list[_Values], places: list[int]) -> RowGaps:
        found = zip(places, (find_gaps(values, self.knowledge) for values in rows), strict=True)
        return {at: gaps for at, gaps in found if gaps.imputed or gaps.unseen}

    def problems(self, rows: list[Row], most: int) -> list[dict[str, Any]]:
        """See `Predictor.problems`."""
        found: list[dict[str, Any]] = []
        for number, row in enumerate(map(trim, rows), 1):
            for one, column in self._each:
                try:
                    self._look(row, number, one, column)
                except InputError as error:
                    told = {
                        "row": number,
                        "column": column.name,
                        "found": error.found,
                        "expected": error.expected,
                    }
                    found.append(told | ({"do": error.do} if error.do else {}))
                    if len(found) == most:
                        return found
        return found

    def _buffers(self) -> tuple[Feeds, list[Any], list[Any], list[_Input]]:
        """Arrays for one row, how to fill those of numbers, where flags are among them, and the other inputs."""
        feeds: Feeds = {}
        fill: list[Any] = []
        flags = [(one.at, _getter(one.flags)) for one in self._inputs if one.flags]
        for one in self._inputs:
            if one.letter:
                feeds[one.name] = np.empty((1, len(one.columns)), one.dtype)
                pack = struct.Struct(f"{len(one.columns)}{one.letter}").pack_into
                fill.append(
                    (pack, feeds[one.name].data.cast("B"), one.at, one.codes, bool(one.full.any()))
                )
        return feeds, fill, flags, [one for one in self._inputs if not one.letter]

    def _array(self, one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
        """One input, `(N, columns)`."""
        for way in one.ways:
            with suppress(*_AMISS):
                return way(one, columns)
        return self._slowly(one, columns)

    def _slowly(self, one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
        """Value by value: missing ones, times, numbers written as text; errors name the row and the column."""
        values: list[Any] = [
            [
                self._value(value, number, one, column)
                for column, value in zip(one.columns, row, strict=True)
            ]
            for number, row in enumerate(zip(*columns, strict=True), 1)
        ]
        if one.codes:  # the text of a number, too, is that of a category by now
            values = [
                [codes.get(text, _RARE) for codes, text in zip(one.codes, row, strict=True)]
                for row in values
            ]
        elif one.read is parse_vector:
            nothing = [math.nan] * (one.columns[0].width or 0)
            values = [nothing if vector is None else vector for (vector,) in values]
        with np.errstate(over="ignore"):
            return np.array(values, dtype=one.dtype).reshape(len(values), -1)

    def _value(self, value: Any, number: int, one: _Input, column: Column) -> Any:
        return read_value(
            value, f"row {number}, column {column.name!r}", column, one.read, self._missing
        )

    def _look(self, row: Any, number: int, one: _Input, column: Column) -> None:
        """Raises `InputError` where a row has no value in a column, or one that cannot be used."""
        self._value(_present(row, number, column), number, one, column)


def row_type(names: list[str], id: str | None) -> type[Struct] | None:
    """A type for rows that have some columns, in this order, perhaps an `id`, the last field, and
    nothing else: what is skipped is not checked. Decoding into it takes half the time of decoding
    into dicts. None where there is a name that no field may have.

    >>> Row = row_type(["a b", "c"], None)
    >>> msgspec.json.decode(b'{"c": 1, "a b": 2}', type=Row)
    Row(c0=2, c1=1)
    """
    fields: list[tuple[str, type] | tuple[str, type, Any]] = [
        (f"c{at}", Any) for at in range(len(names))
    ]
    if id is not None and id not in names:
        fields.append((f"c{len(names)}", Any, msgspec.UNSET))
        names = [*names, id]
    renamed = {field[0]: name for field, name in zip(fields, names, strict=True)}
    try:
        return msgspec.defstruct(
            "Row", fields, rename=renamed, gc=False, forbid_unknown_fields=True
        )
    except ValueError:
        return None


def id_getter(rows: type[Struct], id: str) -> Callable[[Struct], Any]:
    """What tells the id of a row of such a type; `UNSET` where it brings none."""
    return attrgetter(
        next(field.name for field in msgspec.structs.fields(rows) if field.encode_name == id)
    )


def _present(row: Any, number: int, column: Column) -> Any:
    """The value of a column in a row; raises `InputError` where there is none."""
    if not isinstance(row, dict):
        raise InputError(
            f"row {number}",
            f"{type(row).__name__} {str(row)[:40]!r}",
            "an object of columns and values",
        )
    if column.name not in row:
        hint = (
            "a window feature's column must be in the rows"
            if column.window
            else nearest(column.name, list(row))
        )
        where, expected = (
            f"row {number}, column {column.name!r}",
            "every column of the model (null where missing)",
        )
        raise InputError(where, "no such column in the row", expected, hint)
    return row[column.name]


def trim(row: Any) -> Any:
    """A row with names as tables have them (see `spec.safe_name`); itself where it has those. A
    name that needs no change goes before. Raises `InputError` where two names become one.
    """
    if not isinstance(row, dict) or not any(
        isinstance(name, str) and name != safe_name(name) for name in row
    ):
        return row
    plain = {
        name: value
        for name, value in row.items()
        if not isinstance(name, str) or name == safe_name(name)
    }
    for name, value in row.items():
        bare = safe_name(str(name))
        if bare not in row:
            if bare in plain:
                raise InputError("a row", f"two values of {bare!r}, blanks aside", "one")
            plain[bare] = value
    return plain


def _getter(names: list[Any]) -> Callable[[Any], _Values]:
    """The values of some columns as a tuple, also where it is only one."""
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda row: (row[name],)


def _input(group: str, columns: list[Column], at: slice, codes: list[Codes]) -> _Input:
    full = np.array([column.missing == 0 for column in columns])
    # The text of a number is no category of its own: `07` may mean 7 where training had numbers.
    plain = all(column.dtype == "string" for column in columns)
    if group == "strings" and codes:
        own = [_codes_of(column, known) for column, known in zip(columns, codes, strict=True)]
        return _Input(CODES, columns, at, parse_category, np.float32, [_codes], "f", own, full=full)
    if group in _NUMBERS:
        dtype, letter = _NUMBERS[group]
        flags = [place for place, column in enumerate(columns) if column.dtype == "boolean"]
        ways: list[_Way] = [_numbers, _numbers_and_holes]
        return _Input(group, columns, at, parse_number, dtype, ways, letter, flags=flags, full=full)
    if group == "strings":
        return _Input(
            group, columns, at, parse_category, object, [_texts] if plain else [], full=full
        )
    if group == "times":
        return _Input(group, columns, at, parse_time, np.int64, [], full=full)
    return _Input(group, columns, at, parse_vector, np.float32, [], full=full)


class _CountedCodes(Codes):
    """The codes of a column that held numbers or flags in training: text is read as one before it is unknown."""

    def __init__(self, known: Codes, column: Column) -> None:
        super().__init__({text: code for text, code in known.items() if text is not None})
        self._column = column

    def __missing__(self, value: Any) -> float:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return self[""]
        if isinstance(value, str) and (
            (bare := value.strip(BLANKS)) in self or bare in self._column.words
        ):
            return self.get(bare, self[""])
        return self.get(parse_category(value, self._column), _RARE)


def _codes_of(column: Column, known: Codes) -> Codes:
    return known if column.dtype == "string" else _CountedCodes(known, column)


def _numbers(one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
    """Numbers, none of them missing."""
    _check_flags(one, columns)
    return _packed(one, len(columns[0]), chain.from_iterable(columns))


def _numbers_and_holes(one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
    _check_flags(one, columns)
    values = (math.nan if value is None else value for value in chain.from_iterable(columns))
    return _packed(one, len(columns[0]), values)


def _check_flags(one: _Input, columns: list[_Values]) -> None:
    """Raises `ValueError` where a flag is neither 0 nor 1; what it is instead is then told value by value."""
    if one.flags and not all(_FLAGS_OR_NONE.issuperset(columns[at]) for at in one.flags):
        raise ValueError


def _codes(one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
    """The codes of text."""
    found = (
        map(codes.__getitem__, values) for codes, values in zip(one.codes, columns, strict=True)
    )
    return _packed(one, len(columns[0]), chain.from_iterable(found))


def _packed(one: _Input, rows: int, values: Iterable[float]) -> npt.NDArray[Any]:
    """Values, column after column, as an array.

    Unlike NumPy, `struct` takes no text for a number.
    """
    width = len(one.columns)
    packed = np.frombuffer(struct.pack(f"{rows * width}{one.letter}", *values), one.dtype)
    return np.ascontiguousarray(packed.reshape(width, rows).T)


def _texts(one: _Input, columns: list[_Values]) -> npt.NDArray[Any]:
    """Text that has no codes."""
    values = [["" if value is None else value for value in column] for column in columns]
    "".join(chain.from_iterable(values)).encode()  # the fastest question whether all are text
    return np.ascontiguousarray(np.array(values, dtype=object).T)


_NUMBERS: dict[str, tuple[Any, str]] = {"numbers": (np.float32, "f"), "doubles": (np.float64, "d")}
