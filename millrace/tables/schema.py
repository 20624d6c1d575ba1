"""The columns that a table must have, and how a table is brought to them."""

from typing import Any, Literal

import polars as pl
from msgspec import Struct

from millrace.errors import InputError, nearest
from millrace.spec import Kind, Read
from millrace.tables import written
from millrace.tables.types import clean, naive_utc, parse_times

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

    `low` and `high` are the range of numbers and times (ISO text); `categories` the most frequent values of text,
    at most 1,000 of `distinct`; `missing` the share of rows without a value; `written` how a number or time stood in
    the table where that was not the plain way (see `tables.written`); `width` the length of a vector.
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
    width: int | None = None


class Schema(Struct, frozen=True, kw_only=True):
    """What a bundle says about the rows that it takes: the columns of its model, in order, and the special ones."""

    columns: list[Column]
    target: str
    target_dtype: Dtype
    id: str | None = None
    id_dtype: Dtype = "string"
    missing: list[str] = []
    read: Read = Read()


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


def normalise(frame: pl.DataFrame, missing: list[str], from_text: bool = False) -> pl.DataFrame:
    """One type for each plain name: Int64, Float64, Boolean, String, Datetime in microseconds; the rest as it is.

    Whole numbers beyond 64 bits become floats, and NaN is a missing number.
    """
    columns = []
    for column in frame:
        plain = dtype_of(column.dtype)
        if plain in ("nested", "vector"):
            columns.append(_as_vector(column))
        elif plain == "datetime":
            columns.append(naive_utc(column))
        elif plain == "integer":
            whole = column.cast(pl.Int64, strict=False)
            columns.append(whole if whole.null_count() == column.null_count() else column.cast(pl.Float64))
        elif plain == "number":
            columns.append(column.cast(pl.Float64).fill_nan(None))
        else:
            columns.append(column.cast(POLARS[plain]))
    return clean(pl.DataFrame(columns), missing, from_text)


def _as_vector(column: pl.Series) -> pl.Series:
    """Lists of numbers, all of one length, as arrays; anything else that is nested stays."""
    dtype = column.dtype
    if isinstance(dtype, pl.Array) and len(dtype.shape) == 1 and dtype.inner.is_numeric():
        return column.cast(pl.Array(pl.Float32, dtype.shape))
    if not (isinstance(dtype, pl.List) and dtype.inner.is_numeric()):
        return column
    lengths = column.list.len().drop_nulls().unique()
    return column.cast(pl.Array(pl.Float32, lengths[0])) if len(lengths) == 1 and lengths[0] else column


def conform(
    frame: pl.DataFrame,
    columns: list[Column],
    missing: list[str],
    where: str,
    first_row: int = 0,
    from_text: bool = False,
) -> pl.DataFrame:
    """Brings rows to a schema: the columns of `columns` in their order, each in its type.

    `from_text` says that a text table's fields are still as they stood there; `first_row` is
    the number of the frame's first row in the whole input, for messages. Raises `InputError` that names the column,
    the row, the value and what was expected; a missing value is fine, a missing column is not.
    """
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
    frame = frame.select([column.name for column in columns])
    # Text that is text already stays: the graph itself knows the words that mean missing.
    odd = [column.name for column in columns if from_text or frame.schema[column.name] != POLARS.get(column.dtype)]
    frame = frame.with_columns(normalise(frame.select(odd), missing, from_text).get_columns())
    return pl.DataFrame([_to_dtype(frame[column.name], column, where, first_row) for column in columns])


def _to_dtype(values: pl.Series, column: Column, where: str, first_row: int) -> pl.Series:
    if column.dtype == "vector":
        return _to_vector(values, column, where, first_row)
    target = POLARS[column.dtype]
    if values.dtype == target:
        return values
    if column.written is not None and (values.dtype == pl.String or values.dtype.is_integer()):
        read = written.parse(values, column.written)
        if read.null_count() == values.null_count():
            return read
    if column.dtype == "datetime" and values.dtype == pl.String:
        cast = parse_times(values)
    elif column.dtype == "boolean" and values.dtype == pl.String:
        cast = values.str.to_lowercase().replace_strict(
            {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
        )
    elif column.dtype == "string" and values.dtype.is_float():
        # Text that looked like whole numbers elsewhere: 5.0 is "5" again.
        whole = values.cast(pl.Int64, strict=False)
        same = whole.cast(pl.Float64) == values
        cast = (
            pl.select(pl.when(same).then(whole.cast(pl.String)).otherwise(values.cast(pl.String)))
            .to_series()
            .alias(values.name)
        )
    elif column.dtype in ("integer", "number") and not values.dtype.is_nested() and not values.dtype.is_temporal():
        cast = values.cast(target, strict=False)
        if column.dtype == "integer" and (values.dtype.is_float() or cast.null_count() > values.null_count()):
            cast = values.cast(pl.Float64, strict=False)  # a fraction among whole numbers is a number all the same
    elif values.dtype.is_nested() or (values.dtype.is_temporal() != (column.dtype == "datetime")):
        cast = values.clear(len(values))
    else:
        cast = values.cast(target, strict=False)
    if cast.null_count() > values.null_count():
        row = int((cast.is_null() & values.is_not_null()).arg_max() or 0)
        raise InputError(
            f"{where}, row {first_row + row + 1}, column {column.name!r}",
            f"the value {values[row]!r}",
            {
                "integer": "a number",
                "number": "a number",
                "boolean": "true or false",
                "datetime": "an ISO 8601 time",
            }.get(column.dtype, "text"),
            "a word that means missing belongs into data.missing" if values.dtype == pl.String else "",
        )
    return cast


def _to_vector(values: pl.Series, column: Column, where: str, first_row: int) -> pl.Series:
    target = pl.Array(pl.Float32, column.width or 0)
    if values.dtype == target:
        return values
    if values.null_count() == len(values):
        return pl.Series(column.name, [None] * len(values), target)
    wrong = pl.Series([True]).new_from_index(0, len(values))
    if isinstance(values.dtype, pl.List | pl.Array) and values.dtype.inner.is_numeric():
        listed = values.cast(pl.List(pl.Float32))
        wrong = (listed.list.len() != column.width).fill_null(False)
        if not wrong.any():
            return listed.cast(target)
    row = int(wrong.arg_max() or 0)
    found = f"the value {str(values[row])[:60]!r}"
    raise InputError(f"{where}, row {first_row + row + 1}, column {column.name!r}", found, f"{column.width} numbers")
