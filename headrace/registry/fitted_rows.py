"""Remember the rows that a model was fitted on, a number each: no comparison may use them."""

import hashlib
import json
from typing import Literal

import numpy as np
import polars as pl
import polars.selectors as cs

from headrace.arrays import Hashes, Mask
from headrace.tables import atomic_file
from headrace.workspace import Workspace

_ABSENT = 0x9E3779B97F4A7C15


def write_fitted_rows(workspace: Workspace, bundle: str, rows: pl.DataFrame) -> None:
    """Write a number for each row that a bundle's model was fitted on.

    `rows` has the columns that tell rows apart.
    """
    kinds = {name: _kind(dtype) for name, dtype in rows.schema.items()}
    hashes = pl.DataFrame({"row": np.unique(row_hashes(rows))})
    with atomic_file(workspace.fitted_rows(bundle)) as draft:
        hashes.write_parquet(draft, metadata={"kinds": json.dumps(kinds)})


def fitted_mask(workspace: Workspace, bundle: str, rows: pl.DataFrame) -> Mask | None:
    """Return for each row `(N,)` whether the bundle's model was fitted on it.

    None where nobody knows: the numbers are gone, or a column that tells rows apart is gone or of
    another kind.
    """
    path = workspace.fitted_rows(bundle)
    if not path.exists():
        return None
    kinds = json.loads(pl.read_parquet_metadata(path)["kinds"])
    for name, kind in kinds.items():
        if name not in rows.columns or _kind(rows.schema[name]) != kind:
            return None
    hashes = row_hashes(rows.select(cs.by_name(*kinds)))
    return np.isin(hashes, pl.read_parquet(path)["row"].to_numpy())


def row_hashes(rows: pl.DataFrame) -> Hashes:
    """Return a number for each row `(N,)`, the same on every machine and with every library.

    Columns are mixed one after the other by the finalizer of SplitMix64 (Steele et al., 2014). A
    text enters by its BLAKE2b, a whole number as the float that it equals.

    >>> whole, floats = pl.DataFrame({"a": [1, 1, 2]}), pl.DataFrame({"a": [1.0, 1.0, 2.0]})
    >>> row_hashes(whole).tolist() == row_hashes(floats).tolist()
    True
    """
    hashes = np.zeros(rows.height, np.uint64)
    for values in rows:
        for numbers in _to_numbers(values):
            hashes = _mix(hashes ^ numbers)
    return hashes


def _to_numbers(values: pl.Series) -> list[Hashes]:
    """Return numbers that are equal where values are equal; of a vector, those of each element."""
    if isinstance(values.dtype, pl.Array):
        numbers = []
        for element in values.arr.to_struct().struct.unnest():
            numbers += _to_numbers(element)
        return numbers

    absent = values.is_null().to_numpy()
    if _kind(values.dtype) == "text":
        texts = values.cast(pl.String).fill_null("")
        different = texts.unique().sort()
        digests = [hashlib.blake2b(one.encode(), digest_size=8).digest() for one in different]
        table = np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
        found = table[texts.rank("dense").to_numpy().astype(np.int64) - 1]
    elif _kind(values.dtype) == "time":
        moments = values.cast(pl.Datetime("us")).to_physical().fill_null(0).to_numpy()
        found = moments.astype(np.int64).view(np.uint64)
    else:
        # Adding 0.0 turns -0.0 into 0.0, which it equals.
        floats = values.cast(pl.Float64).fill_null(np.nan).to_numpy() + 0.0
        absent = absent | np.isnan(floats)
        found = floats.view(np.uint64)
    return [np.where(absent, np.uint64(_ABSENT), found)]


def _kind(dtype: pl.DataType) -> Literal["text", "time", "number", "vector"]:
    if isinstance(dtype, pl.Array):
        return "vector"
    if dtype.is_temporal():
        return "time"
    if dtype.is_numeric() or dtype == pl.Boolean:
        return "number"
    return "text"


def _mix(x: Hashes) -> Hashes:
    with np.errstate(over="ignore"):
        x = x + np.uint64(_ABSENT)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
