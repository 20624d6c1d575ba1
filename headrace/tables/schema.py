"""The columns that a table must have, and how a table is brought to them.

Training and requests meet here. A `Column` says how the training table wrote a column; `conform`
reads the values of a request in the same way, or refuses them:

    request     column of the schema                   typed
    `" 5 "`     dtype integer                          5
    `"1.5"`     dtype integer                          1.5: the graph takes it as a number
    `"1,5"`     dtype number, written comma_decimal    1.5
    `"n/a"`     words ["n/a"]                          null: the value is missing
    `"dear"`    dtype number                           InputError that names row and column
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import polars as pl
from msgspec import Struct

from headrace.errors import InputError, nearest
from headrace.spec import Kind, ReadSpec, format_label, safe_name
from headrace.tables import numbers, times, written
from headrace.tables.candidates import clean

Dtype = Literal["integer", "number", "boolean", "string", "datetime", "vector", "nested"]

POLARS: dict[Dtype, Any] = {
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "string": pl.String,
    "datetime": pl.Datetime("us"),
}
"""The Polars type of each plain name that has one alone."""


class Column(Struct, frozen=True, kw_only=True):
    """A column as it was in the training rows.

    - `low`, `high`: the range of numbers and times, times as ISO text.
    - `categories`: the most frequent values of a category as text, at most 1,000 of `distinct`.
    - `missing`: the share of rows without a value.
    - `written`: the form of numbers or times, if it was not the plain one (`tables.written`).
    - `words`: texts that meant a missing number or time.
    - `width`: the length of a vector.
    - `zoned`: whether times have a zone; None if both are taken.
    """

    name: str
    dtype: Dtype
    kind: Kind
    why: str = ""
    missing: float = 0.0
    distinct: int = 0
    low: float | str | None = None
    high: float | str | None = None
    categories: list[str] | None = None
    window: bool = False
    written: str | None = None
    words: list[str] = []
    width: int | None = None
    zoned: bool | None = None

    @property
    def polars(self) -> Any:
        """The type of the column in a typed table."""
        if self.dtype == "vector":
            return pl.Array(pl.Float32, self.width or 0)
        return pl.Datetime("us", "UTC") if self.zoned else POLARS[self.dtype]


class Schema(Struct, frozen=True, kw_only=True):
    """The rows that a bundle takes: the columns of its model, in order, and the special ones."""

    columns: list[Column]
    target: str
    target_dtype: Dtype
    id: str | None = None
    id_dtype: Dtype = "string"
    missing: list[str] = []
    read: ReadSpec = ReadSpec()


def dtype_of(dtype: pl.DataType) -> Dtype:
    """Return the plain name of a Polars type.

    >>> dtype_of(pl.UInt8()), dtype_of(pl.Categorical()), dtype_of(pl.Date())
    ('integer', 'string', 'datetime')
    >>> dtype_of(pl.Array(pl.Float64, 2)), dtype_of(pl.List(pl.Int8))
    ('vector', 'nested')
    """
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    if dtype in (pl.Date, pl.Datetime):
        return "datetime"
    if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return "string"
    if isinstance(dtype, pl.Array) and len(dtype.shape) == 1 and dtype.inner.is_numeric():
        return "vector"
    return "nested"


def normalise(frame: pl.DataFrame, missing: Sequence[str]) -> pl.DataFrame:
    """Bring each column to the one Polars type of its plain name, and clean its text.

    Whole numbers beyond 64 bits become text, for floats would make equal what differs. NaN is a
    missing number. Bytes that are UTF-8 become text; other nested values stay.

    >>> frame = pl.DataFrame({"n": [1.0, float("nan")], "big": [1, 2**64 - 1], "s": ["a ", "?"]},
    ...     schema={"n": pl.Float32, "big": pl.UInt64, "s": pl.Categorical})
    >>> normalise(frame, ["?"]).rows()
    [(1.0, '1', 'a'), (None, '18446744073709551615', None)]
    """
    return clean(pl.DataFrame({column.name: _normal(column) for column in frame}), missing)


def _normal(column: pl.Series) -> pl.Series:
    plain = dtype_of(column.dtype)
    if column.dtype == pl.Binary:
        try:
            return column.cast(pl.String)
        except pl.exceptions.PolarsError:  # bytes that are no text
            return column
    if plain in ("nested", "vector"):
        return _as_vector(column)
    if plain == "datetime":
        return times.in_utc(column)
    if plain == "integer" or (isinstance(column.dtype, pl.Decimal) and not column.dtype.scale):
        integers = column.cast(pl.Int64, strict=False)
        return integers if integers.null_count() == column.null_count() else column.cast(pl.String)
    if plain == "number":
        return column.cast(pl.Float64).fill_nan(None)
    return column.cast(POLARS[plain])


def _as_vector(column: pl.Series) -> pl.Series:
    """Convert lists of numbers, all of one length, to arrays; leave other nested values alone."""
    dtype = column.dtype
    if isinstance(dtype, pl.Array) and len(dtype.shape) == 1 and dtype.inner.is_numeric():
        return column.cast(pl.Array(pl.Float32, dtype.shape))
    if not (isinstance(dtype, pl.List) and dtype.inner.is_numeric()):
        return column
    lengths = column.list.len().drop_nulls().unique()
    return _with_nan(column, lengths[0]) if len(lengths) == 1 and lengths[0] else column


def _with_nan(column: pl.Series, width: int) -> pl.Series:
    """Convert lists of one length to arrays, with NaN for a number that is missing in a list."""
    floats = column.cast(pl.List(pl.Float32))
    return floats.list.eval(pl.element().fill_null(float("nan"))).cast(pl.Array(pl.Float32, width))


def conform(
    frame: pl.DataFrame,
    columns: list[Column],
    missing: Sequence[str],
    where: str,
    first_row: int = 0,
) -> pl.DataFrame:
    """Bring rows to a schema: the given columns in their order, each in its type.

    A column is found by its name without the blanks around it. `first_row` is the number of the
    frame's first row in the whole input, for messages.

    Raises `InputError` that names the column, the row, the value and the expected one. A missing
    value is fine, a missing column is not.

    >>> price = Column(name="price", dtype="number", kind="number", written="comma_decimal")
    >>> conform(pl.DataFrame({" price": ["1,5", ""]}), [price], [""], "rows").rows()
    [(1.5,), (None,)]
    >>> conform(pl.DataFrame({"price": ["1,5", "dear"]}), [price], [""], "rows")
    Traceback (most recent call last):
    headrace.errors.InputError: rows, row 2, column 'price': the value 'dear'; expected a number; \
add the word to data.missing if it means missing
    """
    frame = rename_columns(frame, columns, where)
    absent = [column.name for column in columns if column.name not in frame.columns]
    if absent:
        raise _absent_columns(absent, frame, columns, where)
    typed = {
        column.name: _conform(frame.get_column(column.name), column, missing, where, first_row)
        for column in columns
    }
    return pl.DataFrame(typed)


def _absent_columns(
    absent: list[str], frame: pl.DataFrame, columns: list[Column], where: str
) -> InputError:
    names = ", ".join(map(repr, absent[:5])) + (" and others" if len(absent) > 5 else "")
    if any(column.window for column in columns if column.name in absent):
        do = "a window feature's column must be in the rows"
    else:
        do = nearest(absent[0], frame.columns)
    return InputError(where, f"no column {names}", "every column of the model", do)


def rename_columns(frame: pl.DataFrame, columns: list[Column], where: str) -> pl.DataFrame:
    """Strip the blanks around names of a frame that then are names of the schema.

    Raises `InputError` if two columns would get one name.
    """
    wanted = {column.name for column in columns} - set(frame.columns)
    # Most requests have every name: nothing is stripped for those.
    if not wanted:
        return frame

    padded = {name: safe_name(name) for name in frame.columns if safe_name(name) in wanted}
    counts = Counter(padded.values())
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        raise InputError(where, f"two columns {twice!r}, ignoring blanks", "one")
    return frame.rename(padded) if padded else frame


def _conform(
    values: pl.Series, column: Column, missing: Sequence[str], where: str, first_row: int
) -> pl.Series:
    # Text that is text stays as it came: the graph itself strips it and knows the words that mean
    # missing.
    if values.dtype == column.polars:
        return values
    words = [*missing, *column.words]
    return _to_dtype(normalise(values.to_frame(), words).to_series(), column, where, first_row)


def _to_dtype(values: pl.Series, column: Column, where: str, first_row: int) -> pl.Series:
    if column.dtype == "vector":
        return _to_vector(values, column, where, first_row)
    if values.dtype == column.polars:
        return values

    cast = _cast(values, column)
    if cast.null_count() > values.null_count():
        row = int((cast.is_null() & values.is_not_null()).arg_max() or 0)
        do = ""
        if values.dtype == pl.String:
            do = "add the word to data.missing if it means missing"
        raise InputError(
            f"{where}, row {first_row + row + 1}, column {column.name!r}",
            f"the value {str(values[row])[:60]!r}",
            describe_expected(column),
            do,
        )
    return cast


def describe_expected(column: Column) -> str:
    """Describe the values that a column takes.

    >>> describe_expected(Column(name="day", dtype="datetime", kind="datetime", zoned=False))
    'an ISO 8601 time without a zone, as in training'
    """
    if column.dtype == "datetime":
        zones = {
            None: "",
            True: " with a zone, as in training",
            False: " without a zone, as in training",
        }
        own = f", or {column.written} as in training" if column.written is not None else ""
        return f"an ISO 8601 time{zones[column.zoned]}{own}"
    if column.dtype == "vector":
        return f"a list of {column.width} numbers"
    words: dict[Dtype, str] = {
        "integer": "a number",
        "number": "a number",
        "boolean": "true or false",
    }
    return words.get(column.dtype, "text")


def _nulls(values: pl.Series, dtype: Any) -> pl.Series:
    return pl.Series(values.name, [None] * len(values), dtype)


def _cast(values: pl.Series, column: Column) -> pl.Series:
    """Cast values to the type of a column; null for a value that cannot be of it."""
    if values.dtype.is_nested() or values.dtype == pl.Binary:
        return _nulls(values, column.polars)
    if column.dtype == "datetime":
        return _cast_times(values, column)
    if values.dtype.is_temporal():
        return _nulls(values, column.polars)
    if column.dtype == "string":
        return to_text(values)
    if column.dtype == "boolean":
        return _cast_booleans(values)
    if values.dtype == pl.String:
        return _cast_numbers(values, column)

    floats = values.cast(pl.Float64)
    if column.dtype == "integer" and values.dtype == pl.Boolean:
        return floats.cast(pl.Int64)
    return floats


def _cast_numbers(values: pl.Series, column: Column) -> pl.Series:
    """Read text as numbers, each as the training table wrote it or as every machine reads it."""
    plain = values.cast(pl.Float64, strict=False)
    if column.written is not None:
        own = numbers.parse(values, column.written)
        if (own.is_null() & plain.is_not_null()).any():
            # Some values are written as machines write. A value that both forms read differently,
            # such as `1.234`, is then refused: one reading is a thousand times the other.
            differs = (own != plain).fill_null(False)
            own = own.set(differs, None)
            plain = plain.set(differs, None)
        return own.fill_null(plain)

    if column.dtype == "integer" and plain.null_count() == values.null_count():
        integers = values.cast(pl.Int64, strict=False)
        if integers.null_count() == values.null_count():
            return integers
        # Next to a fraction all become floats, and floats would change large whole numbers: those
        # are refused.
        return plain.set((plain.abs() > 2.0**53).fill_null(False), None)
    return plain


def _cast_booleans(values: pl.Series) -> pl.Series:
    """Read true and false, in any case, also as 1 and 0."""
    words = values if values.dtype == pl.String else to_text(values)
    flags = {"true": True, "false": False, "1": True, "0": False}
    return words.str.to_lowercase().replace_strict(flags, default=None, return_dtype=pl.Boolean)


def _cast_times(values: pl.Series, column: Column) -> pl.Series:
    """Read times, with a zone if those of training had one, and without if they had none."""
    found = _read_times(values, column)
    if column.zoned is not None and times.has_zone(found.dtype) != column.zoned:
        return _nulls(values, column.polars)
    in_utc = times.in_utc(found)
    return in_utc if column.zoned else in_utc.cast(pl.Datetime("us"))


def _read_times(values: pl.Series, column: Column) -> pl.Series:
    """Read times as the training table wrote them, or as ISO 8601."""
    if dtype_of(values.dtype) == "datetime":
        return values
    # Neither a flag nor a time of day is a moment, in whatever form.
    if values.dtype == pl.Boolean or values.dtype.is_temporal():
        return _nulls(values, pl.Datetime("us"))
    if column.written is not None:
        return _read_written_times(values, column.written)
    return times.iso(values) if values.dtype == pl.String else _nulls(values, pl.Datetime("us"))


def _read_written_times(values: pl.Series, form: str) -> pl.Series:
    """Read times in a form, and in ISO 8601 those that are not written in it."""
    own = written.parse(values, form)
    if values.dtype != pl.String or own.null_count() == values.null_count():
        return own
    iso = times.iso(values)
    if times.has_zone(iso.dtype) == times.has_zone(own.dtype):
        return own.fill_null(iso)
    return iso if own.null_count() == len(own) else own


def to_text(column: pl.Series) -> pl.Series:
    """Convert a column to text: `5` and `5.0` are one value, true and false are lower case.

    >>> to_text(pl.Series([5.0, 0.5, None])).to_list(), to_text(pl.Series([True])).to_list()
    (['5', '0.5', None], ['true'])
    """
    if column.dtype.is_float():
        values = [None if value is None else format_label(value) for value in column.to_list()]
        return pl.Series(column.name, values, pl.String)
    return column.cast(pl.String)


def _to_vector(values: pl.Series, column: Column, where: str, first_row: int) -> pl.Series:
    if values.dtype == column.polars:
        return values
    # Nulls alone may come in any type.
    if values.null_count() == len(values):
        return _nulls(values, column.polars)

    wrong = pl.Series([True]).new_from_index(0, len(values))
    if isinstance(values.dtype, pl.List | pl.Array) and values.dtype.inner.is_numeric():
        lists = values.cast(pl.List(pl.Float32))
        wrong = (lists.list.len() != column.width).fill_null(False)
        if not wrong.any():
            return _with_nan(lists, column.width or 0)

    row = int(wrong.arg_max() or 0)
    raise InputError(
        f"{where}, row {first_row + row + 1}, column {column.name!r}",
        f"the value {str(values[row])[:60]!r}",
        f"{column.width} numbers",
    )
