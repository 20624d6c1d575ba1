"""From rows to the arrays that the graph takes: fast for clean values, precise for the others.

One row, whose columns are numbers, coded text and times:

    row       {"city": "Rome", "age": 31, "income": 2.5, "opened": datetime(2024, 1, 1)}
                        │
                        │  one getter, in the order of the graph's columns
                        ▼
    values    (31, 2.5,          "Rome",              datetime(2024, 1, 1))
               └ numbers ┘       └ strings ┘          └ times ┘
                   │                 │ codes["Rome"]      │ value by value
                   ▼                 ▼                    ▼
    feeds     numbers            codes                times
              float32 [1, 2]     float32 [1, 1]       int64 [1, 1]
              └────────┬───────────────┘
              buffers of this thread, filled in place by `struct.pack_into`

Clean values (a number where a number belongs) go the fast way, many rows column by column. Only if
that fails is each value looked at: it may be the text of a number, a word that means missing, or an
error that names its row and column.

    one row      packed into the buffers ──fails──▶ read like many rows
    many rows    packed as a whole, each way of `fast` in turn ──fails──▶ read value by value
"""

import math
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
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
from headrace.predict.gaps import (
    GapCounter,
    Gaps,
    Knowledge,
    find_gaps,
    has_no_gaps,
    may_have_gaps,
)
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
_NOT_CLEAN = (KeyError, TypeError, ValueError, OverflowError, struct.error)
"""The errors of the fast ways for a value that is not clean; a look at each value follows."""


class InputTensor(Struct, frozen=True):
    """One input of the graph, and how its array is built from values of rows."""

    name: str
    columns: list[Column]
    at: slice
    """The places of its columns among the values of a row."""
    read: Parser
    dtype: Any
    fast: list["_FastWay"]
    """Ways to build the array of clean values, from the fastest on."""
    letter: str = ""
    """The letter by which `struct` packs a value; empty where values are no numbers."""
    codes: list[Codes] = []
    """The codes of text, one set a column, where the input takes codes."""
    flags: list[int] = []
    """The columns that hold 0 and 1 alone."""
    full: Any = None
    """A mask `(columns,)` of those that were never missing in training."""


_FastWay = Callable[[InputTensor, list[_Values]], npt.NDArray[Any]]
"""Builds an array `(N, columns)` from columns of clean values; raises one of `_NOT_CLEAN`."""
RowGaps = dict[int, Gaps]
"""The gaps of rows by their place; rows without gaps are not in it."""
_NO_GAPS: RowGaps = {}
_RARE = float(RARE)
_FLAGS = frozenset((0, 1))
_FLAGS_OR_NONE = _FLAGS | {None}


class RowReader:
    """A reader of rows into feeds of a graph.

    Rows are dicts or, with `typed`, objects of the type that `make_row_type` made for the columns.
    One reader serves many threads: the buffers for single rows are one set per thread.
    """

    def __init__(self, session: Session, schema: Schema, typed: bool = False) -> None:
        by_name = {column.name: column for column in schema.columns}
        self._missing = frozenset(["", *schema.missing])
        self.tensors: list[InputTensor] = []
        self._columns: list[tuple[InputTensor, Column]] = []
        for group, names in session.groups.items():
            at = slice(len(self._columns), len(self._columns) + len(names))
            columns = [by_name[name] for name in names]
            tensor = _describe_input(group, columns, at, session.codes)
            self.tensors.append(tensor)
            self._columns += [(tensor, column) for column in columns]

        codes: dict[str, Codes] = {}
        if session.codes:
            codes = dict(zip(session.groups["strings"], session.codes, strict=True))
        self.knowledge = [
            Knowledge(column, self._missing, codes.get(column.name)) for _, column in self._columns
        ]
        self._get_values: Callable[[Any], _Values] = msgspec.structs.astuple
        if not typed:
            self._get_values = _make_getter([column.name for _, column in self._columns])
        self._local = threading.local()

    # One pass over the row without a call between: 4 µs for twenty columns. Hence its length, and
    # plain tuples in the place of objects with names.
    def read_row(self, row: Any) -> tuple[Feeds, RowGaps]:  # noqa: C901, PLR0912
        """Read a single row: return its feeds and its gaps.

        The feeds are buffers that the next call of this thread overwrites.
        """
        try:
            feeds, packers, flags, others = self._local.buffers
        except AttributeError:
            feeds, packers, flags, others = self._local.buffers = self._make_buffers()

        try:
            values = self._get_values(row)
            may_have_gap = False
            for pack, buffer, at, codes, is_full in packers:
                if codes:
                    numbers: _Values = tuple(map(getitem, codes, values[at]))
                    pack(buffer, 0, *numbers)
                    if _RARE in numbers:
                        may_have_gap = True
                else:
                    numbers = values[at]
                    pack(buffer, 0, *numbers)
                    # A sum is NaN if one of its numbers is.
                    if is_full and (total := sum(numbers)) != total:
                        may_have_gap = True
            # Any number can be packed as a flag; 2 and NaN are none.
            for at, get_flags in flags:
                if not _FLAGS.issuperset(get_flags(values[at])):
                    return self.read_rows([row])
        except _NOT_CLEAN:
            return self.read_rows([row])

        if others:
            may_have_gap = True
            for tensor in others:
                feeds[tensor.name] = self.build_array(
                    tensor, [(value,) for value in values[tensor.at]]
                )
        return feeds, self.find_gaps([values], [0]) if may_have_gap else _NO_GAPS

    def read_rows(self, rows: Sequence[Any]) -> tuple[Feeds, RowGaps]:
        """Read several rows: return their feeds and their gaps.

        Raises `InputError` naming the row, the column and the value that cannot be used.
        """
        try:
            columns = list(zip(*map(self._get_values, rows), strict=True))
        except (KeyError, TypeError):
            # Perhaps only blanks around a name hide a column.
            trimmed = [trim_names(row) for row in rows]
            if any(new is not row for new, row in zip(trimmed, rows, strict=True)):
                return self.read_rows(trimmed)
            for number, row in enumerate(rows, 1):
                for tensor, column in self._columns:
                    self._check_value(row, number, tensor, column)
            raise

        feeds = {}
        suspects = []
        for tensor in self.tensors:
            array = self.build_array(tensor, columns[tensor.at])
            feeds[tensor.name] = array
            if not has_no_gaps(tensor.name, array):
                suspects.append(tensor)
        if not suspects:
            return feeds, _NO_GAPS

        may_have_gap = np.zeros(len(rows), bool)
        for tensor in suspects:
            may_have_gap |= may_have_gaps(tensor.name, feeds[tensor.name], tensor.full).any(axis=1)
        places = np.flatnonzero(may_have_gap).tolist()
        values = [tuple(column[at] for column in columns) for at in places]
        return feeds, self.find_gaps(values, places)

    def count_gaps(self, typed: pl.DataFrame, feeds: Feeds, counter: GapCounter) -> None:
        """Count the gaps of typed rows; their `feeds` show where to look."""
        # A code may be in two inputs of the graph; its column is counted once.
        counted: set[str] = set()
        for tensor in self.tensors:
            masks = may_have_gaps(tensor.name, feeds[tensor.name], tensor.full).T
            for known, mask in zip(self.knowledge[tensor.at], masks, strict=True):
                name = known.column.name
                if mask.any() and name not in counted:
                    counted.add(name)
                    counter.add(known, typed.get_column(name).filter(pl.Series(mask)))

    def find_gaps(self, rows: list[_Values], places: list[int]) -> RowGaps:
        """Find the gaps of rows by their places; those without are left out."""
        found: RowGaps = {}
        for at, values in zip(places, rows, strict=True):
            gaps = find_gaps(values, self.knowledge)
            if gaps.imputed or gaps.unseen:
                found[at] = gaps
        return found

    def problems(self, rows: list[Row], most: int) -> list[dict[str, Any]]:
        """Find the first `most` problems of rows; see `Predictor.problems`."""
        found: list[dict[str, Any]] = []
        for number, row in enumerate(map(trim_names, rows), 1):
            for tensor, column in self._columns:
                try:
                    self._check_value(row, number, tensor, column)
                except InputError as error:
                    problem = {
                        "row": number,
                        "column": column.name,
                        "found": error.found,
                        "expected": error.expected,
                    }
                    if error.do:
                        problem["do"] = error.do
                    found.append(problem)
                    if len(found) == most:
                        return found
        return found

    def _make_buffers(self) -> tuple[Feeds, list[Any], list[Any], list[InputTensor]]:
        """Make the arrays for one row, and all that `read_row` needs to fill them.

        Returns:

        - the feeds, with an array `(1, columns)` for each input of numbers or codes;
        - for each of these, how to fill it: its `pack_into`, the bytes of its array, the place of
          its values, its codes, and whether one of its columns was never missing in training;
        - for each input with flags, the place of its values and a getter of the flags among them;
        - the inputs that `struct` cannot pack, whose arrays are built for every row.
        """
        feeds: Feeds = {}
        packers: list[Any] = []
        flags: list[Any] = []
        others: list[InputTensor] = []
        for tensor in self.tensors:
            if tensor.flags:
                flags.append((tensor.at, _make_getter(tensor.flags)))
            if not tensor.letter:
                others.append(tensor)
                continue
            width = len(tensor.columns)
            array = np.empty((1, width), tensor.dtype)
            feeds[tensor.name] = array
            pack = struct.Struct(f"{width}{tensor.letter}").pack_into
            is_full = bool(tensor.full.any())
            packers.append((pack, array.data.cast("B"), tensor.at, tensor.codes, is_full))
        return feeds, packers, flags, others

    def build_array(self, tensor: InputTensor, columns: list[_Values]) -> npt.NDArray[Any]:
        """Build the array `(N, columns)` of one input by the fastest way that its values allow."""
        for build in tensor.fast:
            with suppress(*_NOT_CLEAN):
                return build(tensor, columns)
        return self._build_by_value(tensor, columns)

    def _build_by_value(self, tensor: InputTensor, columns: list[_Values]) -> npt.NDArray[Any]:
        """Build the array of one input value by value.

        Reads missing values, times and numbers written as text. Raises `InputError` naming the row
        and the column.
        """
        values: list[Any] = []
        for number, row in enumerate(zip(*columns, strict=True), 1):
            pairs = zip(tensor.columns, row, strict=True)
            values.append([self._read(value, number, tensor, column) for column, value in pairs])

        # By now the text of a number, too, is that of a category.
        if tensor.codes:
            for at, texts in enumerate(values):
                coded = zip(tensor.codes, texts, strict=True)
                values[at] = [codes.get(text, _RARE) for codes, text in coded]
        elif tensor.read is parse_vector:
            nothing = [math.nan] * (tensor.columns[0].width or 0)
            values = [nothing if vector is None else vector for (vector,) in values]
        # A number that float32 cannot hold becomes infinite, as in training.
        with np.errstate(over="ignore"):
            return np.array(values, dtype=tensor.dtype).reshape(len(values), -1)

    def _read(self, value: Any, number: int, tensor: InputTensor, column: Column) -> Any:
        where = f"row {number}, column {column.name!r}"
        return read_value(value, where, column, tensor.read, self._missing)

    def _check_value(self, row: Any, number: int, tensor: InputTensor, column: Column) -> None:
        """Raise `InputError` where a row has no value in a column, or one that cannot be used."""
        self._read(_take_value(row, number, column), number, tensor, column)


@cache
def make_row_type(names: tuple[str, ...], optional: tuple[str, ...]) -> type[Struct] | None:
    """Make a type for rows that have these columns, perhaps some optional ones, and no others.

    What is skipped is not checked, so a row with other columns is refused. Decoding into such a
    type takes half the time of decoding into dicts. Two models of the same columns share one type.
    Returns None where there is a name that no field may have.

    >>> Row = make_row_type(("a b", "c"), ())
    >>> msgspec.json.decode(b'{"c": 1, "a b": 2}', type=Row)
    Row(c0=2, c1=1)
    """
    fields: list[tuple[str, type] | tuple[str, type, Any]] = [
        (f"c{at}", Any) for at in range(len(names))
    ]
    further = [name for name in dict.fromkeys(optional) if name not in names]
    fields += [(f"c{at}", Any, msgspec.UNSET) for at, _ in enumerate(further, len(names))]
    renamed = {field[0]: name for field, name in zip(fields, [*names, *further], strict=True)}
    try:
        return msgspec.defstruct(
            "Row", fields, rename=renamed, gc=False, forbid_unknown_fields=True
        )
    except ValueError:
        return None


def make_id_getter(rows: type[Struct], id: str) -> Callable[[Struct], Any]:
    """Make a getter of the id of a row of such a type; it returns `UNSET` where there is none."""
    fields = msgspec.structs.fields(rows)
    return attrgetter(next(field.name for field in fields if field.encode_name == id))


def _take_value(row: Any, number: int, column: Column) -> Any:
    """Return the value of a column in a row; raise `InputError` where there is none."""
    if not isinstance(row, dict):
        raise InputError(
            f"row {number}",
            f"{type(row).__name__} {str(row)[:40]!r}",
            "an object of columns and values",
        )
    if column.name in row:
        return row[column.name]
    if column.window:
        hint = "a window feature's column must be in the rows"
    else:
        hint = nearest(column.name, list(row))
    raise InputError(
        f"row {number}, column {column.name!r}",
        "no such column in the row",
        "every column of the model (null where missing)",
        hint,
    )


def trim_names(row: Any) -> Any:
    """Return a row with names as tables have them (see `spec.safe_name`).

    A row that has such names already is returned itself. A name that needs no change takes
    precedence. Raises `InputError` where two names become one.

    >>> trim_names({" a": 1, "b": 2})
    {'b': 2, 'a': 1}
    """
    # Written out, without a call of our own for each name: it runs for every row of a request.
    if not isinstance(row, dict) or not any(
        isinstance(name, str) and name != safe_name(name) for name in row
    ):
        return row

    trimmed = {}
    for name, value in row.items():
        if not isinstance(name, str) or name == safe_name(name):
            trimmed[name] = value
    for name, value in row.items():
        safe = safe_name(str(name))
        if safe not in row:
            if safe in trimmed:
                raise InputError("a row", f"two values of {safe!r}, ignoring blanks", "one")
            trimmed[safe] = value
    return trimmed


def _make_getter(names: list[Any]) -> Callable[[Any], _Values]:
    """Make a getter of some columns' values as a tuple, also where it is only one."""
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda row: (row[name],)


def _describe_input(
    group: str, columns: list[Column], at: slice, codes: list[Codes]
) -> InputTensor:
    """Describe the input of a group of columns."""
    full = np.array([column.missing == 0 for column in columns])
    if group == "strings" and codes:
        own = [_read_numbers(column, known) for column, known in zip(columns, codes, strict=True)]
        return InputTensor(
            CODES, columns, at, parse_category, np.float32, [_pack_codes], "f", own, full=full
        )
    if group in _NUMBERS:
        dtype, letter = _NUMBERS[group]
        flags = [place for place, column in enumerate(columns) if column.dtype == "boolean"]
        fast: list[_FastWay] = [_pack_numbers, _pack_numbers_or_none]
        return InputTensor(
            group, columns, at, parse_number, dtype, fast, letter, flags=flags, full=full
        )
    if group == "strings":
        # The text of a number is no category of its own: `07` may mean 7 where training had
        # numbers.
        is_text = all(column.dtype == "string" for column in columns)
        fast = [_build_texts] if is_text else []
        return InputTensor(group, columns, at, parse_category, object, fast, full=full)
    if group == "times":
        return InputTensor(group, columns, at, parse_time, np.int64, [], full=full)
    return InputTensor(group, columns, at, parse_vector, np.float32, [], full=full)


class _NumberCodes(Codes):
    """The codes of a column that held numbers or flags in training.

    Text is read as a number or flag before it counts as unknown.
    """

    def __init__(self, known: Codes, column: Column) -> None:
        super().__init__({text: code for text, code in known.items() if text is not None})
        self._column = column

    def __missing__(self, value: Any) -> float:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return self[""]
        if isinstance(value, str):
            text = value.strip(BLANKS)
            if text in self or text in self._column.words:
                return self.get(text, self[""])
        return self.get(parse_category(value, self._column), _RARE)


def _read_numbers(column: Column, known: Codes) -> Codes:
    """Return the codes of a column, which read text as numbers where training had numbers."""
    return known if column.dtype == "string" else _NumberCodes(known, column)


def _pack_numbers(tensor: InputTensor, columns: list[_Values]) -> npt.NDArray[Any]:
    """Build an array of numbers of which none is missing."""
    _check_flags(tensor, columns)
    return _pack(tensor, len(columns[0]), chain.from_iterable(columns))


def _pack_numbers_or_none(tensor: InputTensor, columns: list[_Values]) -> npt.NDArray[Any]:
    """Build an array of numbers; None becomes NaN."""
    _check_flags(tensor, columns)
    # Looking for None in a column takes a tenth of the time of replacing it.
    filled = (
        [math.nan if value is None else value for value in column] if None in column else column
        for column in columns
    )
    return _pack(tensor, len(columns[0]), chain.from_iterable(filled))


def _check_flags(tensor: InputTensor, columns: list[_Values]) -> None:
    """Raise `ValueError` where a flag is neither 0 nor 1; its reader says later what it is."""
    if tensor.flags and not all(_FLAGS_OR_NONE.issuperset(columns[at]) for at in tensor.flags):
        raise ValueError


def _pack_codes(tensor: InputTensor, columns: list[_Values]) -> npt.NDArray[Any]:
    """Build an array of the codes of text."""
    pairs = zip(tensor.codes, columns, strict=True)
    codes = (map(known.__getitem__, values) for known, values in pairs)
    return _pack(tensor, len(columns[0]), chain.from_iterable(codes))


def _pack(tensor: InputTensor, rows: int, values: Iterable[float]) -> npt.NDArray[Any]:
    """Build an array `(rows, columns)` from its values, column after column.

    Unlike NumPy, `struct` takes no text for a number.
    """
    width = len(tensor.columns)
    packed = np.frombuffer(struct.pack(f"{rows * width}{tensor.letter}", *values), tensor.dtype)
    return np.ascontiguousarray(packed.reshape(width, rows).T)


def _build_texts(tensor: InputTensor, columns: list[_Values]) -> npt.NDArray[Any]:
    """Build an array of text that has no codes."""
    values = [["" if value is None else value for value in column] for column in columns]
    # The fastest question whether all of it is text: joining raises for anything else.
    "".join(chain.from_iterable(values)).encode()
    return np.ascontiguousarray(np.array(values, dtype=object).T)


_NUMBERS: dict[str, tuple[Any, str]] = {"numbers": (np.float32, "f"), "doubles": (np.float64, "d")}
"""The type of a group of numbers, and the letter by which `struct` packs it."""
