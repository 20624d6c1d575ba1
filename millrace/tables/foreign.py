"""Tables of other libraries."""

from collections import Counter
from typing import Any

import polars as pl

from millrace.errors import InputError


def polars_of(table: Any, where: str) -> pl.DataFrame | None:
    """A Polars, pandas or Arrow table as a Polars one; none where it is no table.

    Raises `InputError` for a pandas table that cannot be read without pyarrow, and for a column that is there twice.

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
            found: pl.DataFrame = pl.from_pandas(table)
            return found
        if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
            return pl.DataFrame(table)
    except ModuleNotFoundError as error:
        raise InputError(where, f"a pandas table, but {error.name} is missing", "pip install pyarrow") from None
    return None
