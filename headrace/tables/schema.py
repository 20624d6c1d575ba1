"""The columns that a table must have, and how a table is brought to them."""

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl
from msgspec import Struct

from headrace.errors import InputError, nearest
from headrace.spec import Kind, ReadSpec, label_text, safe_name
from headrace.tables import numbers, times, written
from headrace.tables.types import clean

Dtype = Literal["integer", "number", "boolean", "string", "datetime", "vector", "nested"]

POLARS: dict[Dtype, Any] = {
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "string": pl.String,
    "datetime": pl.Datetime("us"),
}


class Column(Struct, frozen=True, kw_only=True):
    """One column as it was in the training rows.

    `low` and `high` are the range of numbers and times (ISO text); `categories` the most frequent
    values of a category as text, at most 1,000 of `distinct`; `missing` the share of rows without a
    value; `written` how a number or time stood in the table where that was not the plain way, and
    `words` what stood there in its place (see `tables.written`); `width` the length of a vector;
    `zoned` whether times have a zone, none where both are taken.
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
    """What a bundle says about the rows that it takes: the columns of its model, in order, and the special ones."""

    columns: list[Column]
    target: str
    target_dtype: Dtype
    id: str | None = None
    id_dtype: Dtype = "string"
    missing: list[str] = []
    read: ReadSpec = ReadSpec()


def dtype_of(dtype: pl.DataType) -> Dtype:
    """The plain name of a Polars type.

    >>> dtype_of(pl.UInt8()), dtype_of(pl.Categorical()), dtype_of(pl.Date()), dtype_of(pl.List(pl.Int8))
    ('integer', 'string', 'datetime', 'nested')
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
    """One type for each plain name: Int64, Float64, Boolean, String, Datetime in microseconds; the
    rest as it is.

    Whole numbers beyond 64 bits become text, for a float would make several of them one; NaN is a
    missing number; bytes that are UTF-8 are text.
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
        counted = column.cast(pl.Int64, strict=False)
        return counted if counted.null_count() == column.null_count() else column.cast(pl.String)
    if plain == "number":
        return column.cast(pl.Float64).fill_nan(None)
    return column.cast(POLARS[plain])


def _as_vector(column: pl.Series) -> pl.Series:
    """Lists of numbers, all of one length, as arrays; anything else that is nested stays."""
    dtype = column.dtype
    if isinstance(dtype, pl.Array) and len(dtype.shape) == 1 and dtype.inner.is_numeric():
        return column.cast(pl.Array(pl.Float32, dtype.shape))
    if not (isinstance(dtype, pl.List) and dtype.inner.is_numeric()):
        return column
    lengths = column.list.len().drop_nulls().unique()
    return _with_nan(column, lengths[0]) if len(lengths) == 1 and lengths[0] else column


def _with_nan(column: pl.Series, width: int) -> pl.Series:
    """Lists of one length as arrays; what is missing within one is NaN."""
    floats = column.cast(pl.List(pl.Float32))
    return floats.list.eval(pl.element().fill_null(float("nan"))).cast(pl.Array(pl.Float32, width))


def conform(
    frame: pl.DataFrame,
    columns: list[Column],
    missing: Sequence[str],
    where: str,
    first_row: int = 0,
) -> pl.DataFrame:
    """Brings rows to a schema: the columns of `columns` in their order, each in its type.

    A column is found by its name, blanks around it aside. `first_row` is the number of the frame's
    first row in the whole input, for messages. Raises `InputError` that names the column, the row,
    the value and what was expected; a missing value is fine, a missing column is not.
    """
    frame = rename_columns(frame, columns, where)
    absent = [column.name for column in columns if column.name not in frame.columns]
    if absent:
        window = any(column.window for column in columns if column.name in absent)
        hint = nearest(absent[0], frame.columns)
        raise InputError(
            where,
            f"no column {', '.join(map(repr, absent[:5]))}{' and others' if len(absent) > 5 else ''}",
            "every column of the model",
            "a window feature's column must be in the rows" if window else hint,
        )
    typed = {
        one.name: _conformed(frame.get_column(one.name), one, missing, where, first_row)
        for one in columns
    }
    return pl.DataFrame(typed)


def rename_columns(frame: pl.DataFrame, columns: list[Column], where: str) -> pl.DataFrame:
    """A table with the names of a schema, where it has them with blanks around; raises `InputError`
    where two columns would be one.
    """
    wanted = {column.name for column in columns} - set(frame.columns)
    padded = (
        {name: safe_name(name) for name in frame.columns if safe_name(name) in wanted}
        if wanted
        else {}
    )
    if len(set(padded.values())) < len(padded):
        twice = next(name for name in padded.values() if list(padded.values()).count(name) > 1)
        raise InputError(where, f"two columns {twice!r}, blanks aside", "one")
    return frame.rename(padded) if padded else frame


def _conformed(
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
        raise InputError(
            f"{where}, row {first_row + row + 1}, column {column.name!r}",
            f"the value {str(values[row])[:60]!r}",
            expected_of(column),
            "a word that means missing belongs into data.missing"
            if values.dtype == pl.String
            else "",
        )
    return cast


def expected_of(column: Column) -> str:
    """What a value of a column must be, in words."""
    if column.dtype == "datetime":
        zone = {
            None: "",
            True: " with a zone, as in training",
            False: " without a zone, as in training",
        }[column.zoned]
        own = f", or {column.written} as in training" if column.written is not None else ""
        return f"an ISO 8601 time{zone}{own}"
    if column.dtype == "vector":
        return f"a list of {column.width} numbers"
    words: dict[Dtype, str] = {
        "integer": "a number",
        "number": "a number",
        "boolean": "true or false",
    }
    return words.get(column.dtype, "text")


def _cast(values: pl.Series, column: Column) -> pl.Series:
    """Values in the type of a column; null where one cannot be."""
    nothing = pl.Series(column.name, [None] * len(values), column.polars)
    if values.dtype.is_nested() or values.dtype == pl.Binary:
        return nothing
    if column.dtype == "datetime":
        return _cast_times(values, column)
    if values.dtype.is_temporal():
        return nothing
    if column.dtype == "string":
        return as_text(values)
    if column.dtype == "boolean":
        return _cast_flags(values)
    if values.dtype != pl.String:
        floats = values.cast(pl.Float64)
        return (
            floats.cast(pl.Int64)
            if column.dtype == "integer" and values.dtype == pl.Boolean
            else floats
        )
    return _cast_numbers(values, column)


def _cast_numbers(values: pl.Series, column: Column) -> pl.Series:
    """Text as numbers, each as the training table wrote it or as every machine reads it."""
    plain = values.cast(pl.Float64, strict=False)
    if column.written is not None:
        own = numbers.parse(values, column.written)
        if (own.is_null() & plain.is_not_null()).any():
            # Some are written as machines write: what could be either is refused, not read a
            # thousandfold.
            own = own.set((own != plain).fill_null(False), None)
            plain = plain.set(
                (numbers.parse(values, column.written) != plain).fill_null(False), None
            )
        plain = own.fill_null(plain)
    elif column.dtype == "integer" and plain.null_count() == values.null_count():
        counted = values.cast(pl.Int64, strict=False)
        if counted.null_count() == values.null_count():
            return counted
        # Beside a fraction all become floats, in which large whole numbers would be others: those
        # are refused.
        return plain.set((plain.abs() > 2.0**53).fill_null(False), None)
    return plain


def _cast_flags(values: pl.Series) -> pl.Series:
    """True and false, also as 1 and 0."""
    words = values if values.dtype == pl.String else as_text(values)
    known = {"true": True, "false": False, "1": True, "0": False}
    return words.str.to_lowercase().replace_strict(known, default=None, return_dtype=pl.Boolean)


def _cast_times(values: pl.Series, column: Column) -> pl.Series:
    """Times with a zone where those of training had one, and without where they had none."""
    if values.dtype == pl.Boolean:
        read = values.clear(len(values)).cast(pl.Datetime("us"))
    elif values.dtype.is_temporal():
        read = (
            values
            if dtype_of(values.dtype) == "datetime"
            else values.clear(len(values)).cast(pl.Datetime("us"))
        )
    elif column.written is not None:
        read = written.parse(values, column.written)
        if values.dtype == pl.String and read.null_count() > values.null_count():
            others = times.iso(values)
            if times.has_zone(others.dtype) == times.has_zone(read.dtype):
                read = read.fill_null(others)
            elif read.null_count() == len(read):
                read = others
    elif values.dtype == pl.String:
        read = times.iso(values)
    else:
        read = values.clear(len(values)).cast(pl.Datetime("us"))
    if column.zoned is not None and times.has_zone(read.dtype) != column.zoned:
        return pl.Series(column.name, [None] * len(values), column.polars)
    return times.in_utc(read) if column.zoned else times.in_utc(read).cast(pl.Datetime("us"))


def as_text(column: pl.Series) -> pl.Series:
    """A column as text: `5` and `5.0` are one value, true and false are lower case."""
    if column.dtype.is_float():
        values = [None if value is None else label_text(value) for value in column.to_list()]
        return pl.Series(column.name, values, pl.String)
    return column.cast(pl.String)


def _to_vector(values: pl.Series, column: Column, where: str, first_row: int) -> pl.Series:
    target = column.polars
    if values.dtype == target:
        return values
    if values.null_count() == len(values):
        return pl.Series(column.name, [None] * len(values), target)
    wrong = pl.Series([True]).new_from_index(0, len(values))
    if isinstance(values.dtype, pl.List | pl.Array) and values.dtype.inner.is_numeric():
        listed = values.cast(pl.List(pl.Float32))
        wrong = (listed.list.len() != column.width).fill_null(False)
        if not wrong.any():
            return _with_nan(listed, column.width or 0)
    row = int(wrong.arg_max() or 0)
    found = f"the value {str(values[row])[:60]!r}"
    raise InputError(
        f"{where}, row {first_row + row + 1}, column {column.name!r}",
        found,
        f"{column.width} numbers",
    )
