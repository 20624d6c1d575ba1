"""Tables of other libraries."""

from collections import Counter
from typing import Any

import polars as pl

from headrace.errors import InputError
from headrace.spec import label_text


def polars_of(table: Any, where: str) -> pl.DataFrame | None:
    """A Polars, pandas or Arrow table as a Polars one; none where it is no table.

    Raises `InputError` for a pandas table that cannot be read without pyarrow, and for a column
    that is there twice.

    >>> polars_of(pl.LazyFrame({"n": [1]}), "predict").rows()
    [(1,)]
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    is_pandas = type(table).__module__.split(".")[0] == "pandas"
    counts = Counter(map(str, table.columns if is_pandas else getattr(table, "column_names", [])))
    if twice := next((name for name, count in counts.items() if count > 1), None):
        raise InputError(where, f"the column {twice!r} twice", "each column once")
    try:
        if is_pandas:
            return _of_pandas(table, where)
        if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
            return pl.DataFrame(table)
    except ModuleNotFoundError as error:
        raise InputError(
            where, f"a pandas table, but {error.name} is missing", "pip install pyarrow"
        ) from None
    return None


def _of_pandas(table: Any, where: str) -> pl.DataFrame:
    """A pandas table; columns of Python objects of several types, which Arrow refuses, as text.

    Raises `InputError` naming the column whose values are none that a table could hold.
    """
    try:
        found: pl.DataFrame = pl.from_pandas(table)
        return found
    except ModuleNotFoundError:
        raise
    except Exception:  # Arrow and Polars raise a dozen types without a common parent
        columns = {
            str(name): _of_objects(table[name], f"{where}, column {str(name)!r}")
            for name in table.columns
        }
        return pl.DataFrame(columns)


def _of_objects(column: Any, where: str) -> pl.Series:
    try:
        found: pl.Series = pl.from_pandas(column)
        return found
    except Exception:  # as above
        absent = column.isna().tolist()
        values = [
            None if gone else value for value, gone in zip(column.tolist(), absent, strict=True)
        ]
        odd = next(
            (value for value in values if not isinstance(value, str | int | float | None)), None
        )
        if odd is not None:
            raise InputError(
                where, f"a value of type {type(odd).__name__}", "text, numbers, flags or times"
            ) from None
        return pl.Series(
            str(column.name),
            [None if value is None else label_text(value) for value in values],
            pl.String,
        )
