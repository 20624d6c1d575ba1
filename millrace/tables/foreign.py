"""Tables of other libraries."""

from typing import Any

import polars as pl

from millrace.errors import InputError


def polars_of(table: Any, where: str) -> pl.DataFrame | None:
    """A Polars, pandas or Arrow table as a Polars one; none where it is no table.

    Raises `InputError` for a pandas table that cannot be read without pyarrow.

    >>> polars_of(pl.LazyFrame({"n": [1]}), "predict").rows()
    [(1,)]
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    try:
        if type(table).__module__.split(".")[0] == "pandas":
            found: pl.DataFrame = pl.from_pandas(table)
            return found
        if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
            return pl.DataFrame(table)
    except ModuleNotFoundError as error:
        raise InputError(where, f"a pandas table, but {error.name} is missing", "pip install pyarrow") from None
    return None
