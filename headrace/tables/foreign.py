"""Tables of other libraries as Polars tables."""

from collections import Counter
from typing import Any

import polars as pl

from headrace.errors import InputError
from headrace.spec import format_label


def to_polars(table: Any, where: str) -> pl.DataFrame | None:
    """Convert a Polars, pandas or Arrow table to Polars, or return None if it is no table.

    Raises `InputError` for a pandas table that cannot be read without pyarrow, and for a column
    that occurs twice.

    >>> to_polars(pl.LazyFrame({"n": [1]}), "predict").rows()
    [(1,)]
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()

    names = table.columns if is_pandas(table) else getattr(table, "column_names", [])
    # Names of pandas may be numbers; as text two of them may be one.
    counts = Counter(map(str, names))
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice:
        raise InputError(where, f"the column {twice!r} twice", "each column once")

    try:
        if is_pandas(table):
            return _from_pandas(table, where)
        if type(table).__name__ == "Series":
            return None
        if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
            return pl.DataFrame(table)
    except ModuleNotFoundError as error:
        raise InputError(
            where, f"a pandas table, but {error.name} is missing", "pip install pyarrow"
        ) from None
    return None


def is_pandas(table: Any) -> bool:
    """Say whether a table is a DataFrame of pandas."""
    return type(table).__module__.split(".")[0] == "pandas" and hasattr(table, "columns")


def to_pandas(frame: pl.DataFrame, like: Any) -> Any:
    """Convert a table to pandas, with the index of the pandas table that it was made from."""
    table = frame.to_pandas()
    table.index = like.index
    return table


def _from_pandas(table: Any, where: str) -> pl.DataFrame:
    """Convert a pandas table.

    A column of Python objects of several types, which Arrow refuses, becomes text. Raises
    `InputError` that names a column with a value that no table could hold.
    """
    table = _with_plain_types(table)
    try:
        frame: pl.DataFrame = pl.from_pandas(table)
        return frame
    except ModuleNotFoundError:
        raise
    except Exception:  # Arrow and Polars raise a dozen types without a common parent
        columns = {
            str(name): _from_objects(table[name], f"{where}, column {str(name)!r}")
            for name in table.columns
        }
        return pl.DataFrame(columns)


def _with_plain_types(table: Any) -> Any:
    """Write periods and intervals as text, and sparse columns in full: Arrow has none of them."""
    for at, dtype in enumerate(table.dtypes):
        # `pd.cut` gives categories that are intervals
        categories = getattr(dtype, "categories", None)
        name = str(dtype if categories is None else categories.dtype).lower()
        if name.startswith(("period", "interval")):
            table = table.copy(deep=False)
            table.isetitem(at, table.iloc[:, at].astype(object).astype("string"))
        elif name.startswith("sparse"):
            table = table.copy(deep=False)
            table.isetitem(at, table.iloc[:, at].sparse.to_dense())
    return table


def _from_objects(column: Any, where: str) -> pl.Series:
    """Convert a pandas column, of Python objects if need be; see `_from_pandas`."""
    try:
        series: pl.Series = pl.from_pandas(column)
        return series
    except Exception:  # as above
        texts = [
            None if is_absent else _object_text(value, where)
            for value, is_absent in zip(column.tolist(), column.isna().tolist(), strict=True)
        ]
        return pl.Series(str(column.name), texts, pl.String)


def _object_text(value: Any, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise InputError(
            where, f"a value of type {type(value).__name__}", "text, numbers, flags or times"
        ) from None
    return format_label(value)
