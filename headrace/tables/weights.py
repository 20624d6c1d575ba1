"""The column that says how much each row counts."""

import numpy as np
import polars as pl

from headrace.arrays import Floats
from headrace.errors import InputError


def read_weights(frame: pl.DataFrame, name: str | None) -> Floats | None:
    """Read the weights `(N,)` of the rows from a column, or None if no column is named.

    Raises `InputError` for a weight that is missing, negative or not a number, and for a column
    of zeros alone.

    >>> read_weights(pl.DataFrame({"w": [1, 2]}), "w").tolist()
    [1.0, 2.0]
    """
    if name is None:
        return None
    if not frame[name].dtype.is_numeric():
        raise InputError(
            "data.weight", f"{name!r} holds {frame[name].dtype} values", "a column of numbers"
        )

    weights = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    invalid = ~(np.isfinite(weights) & (weights >= 0))
    if invalid.any():
        row = int(invalid.argmax())
        raise InputError(
            f"data.weight {name!r}, row {row + 1}", f"{frame[name][row]}", "a number of at least 0"
        )
    if not weights.any():
        raise InputError(f"data.weight {name!r}", "0 in every row", "rows that count")
    return weights
