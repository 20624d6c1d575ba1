"""Which rows a model was fitted on, remembered as one number each, so that a later model is not compared on them."""

import hashlib
import json
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import polars.selectors as cs

from headrace.arrays import Hashes, Mask
from headrace.tables import atomic_file
from headrace.workspace import Workspace

_ABSENT = 0x9E3779B97F4A7C15


def write_fitted_rows(workspace: Workspace, bundle: str, rows: pl.DataFrame) -> None:
    """Keeps a number for each row that a bundle's model was fitted on; `rows` has the columns that tell rows apart."""
    kinds = {name: _kind(dtype) for name, dtype in rows.schema.items()}
    with atomic_file(_path(workspace, bundle)) as beside:
        pl.DataFrame({"row": np.unique(row_hashes(rows))}).write_parquet(
            beside, metadata={"kinds": json.dumps(kinds)}
        )


def fitted_mask(workspace: Workspace, bundle: str, rows: pl.DataFrame) -> Mask | None:
    """Which rows `(N,)` the bundle's model was fitted on.

    None where that cannot be told: it was not kept, or the columns that told rows apart are gone or
    of another kind.
    """
    path = _path(workspace, bundle)
    if not path.exists():
        return None
    kinds = json.loads(pl.read_parquet_metadata(path)["kinds"])
    if any(
        name not in rows.columns or _kind(rows.schema[name]) != kind for name, kind in kinds.items()
    ):
        return None
    return np.isin(
        row_hashes(rows.select(cs.by_name(*kinds))), pl.read_parquet(path)["row"].to_numpy()
    )


def row_hashes(rows: pl.DataFrame) -> Hashes:
    """One number for each row `(N,)`: the same on every machine and in every version of the
    libraries.

    Columns are mixed one after the other with the finalizer of SplitMix64 (Steele et al., 2014);
    text enters by its BLAKE2b, a whole number as the float that it equals.

    >>> row_hashes(pl.DataFrame({"a": [1, 1, 2]})).tolist() == row_hashes(pl.DataFrame({"a": [1.0, 1.0, 2.0]})).tolist()
    True
    """
    found = np.zeros(rows.height, np.uint64)
    for values in rows:
        for numbers in _numbers(values):
            found = _mixed(found ^ numbers)
    return found


def _numbers(values: pl.Series) -> list[Hashes]:
    """A column as numbers that are equal where the values are; a vector as one for each of its places."""
    if isinstance(values.dtype, pl.Array):
        return [one for place in values.arr.to_struct().struct.unnest() for one in _numbers(place)]
    absent = values.is_null().to_numpy()
    if _kind(values.dtype) == "text":
        texts = values.cast(pl.String).fill_null("")
        different = texts.unique().sort()
        digests = [hashlib.blake2b(one.encode(), digest_size=8).digest() for one in different]
        table = np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
        found = table[texts.rank("dense").to_numpy().astype(np.int64) - 1]
    elif _kind(values.dtype) == "time":
        found = (
            values.cast(pl.Datetime("us"))
            .to_physical()
            .fill_null(0)
            .to_numpy()
            .astype(np.int64)
            .view(np.uint64)
        )
    else:
        numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy() + 0.0  # one zero, not two
        absent = absent | np.isnan(numbers)
        found = numbers.view(np.uint64)
    return [np.where(absent, np.uint64(_ABSENT), found)]


def _kind(dtype: pl.DataType) -> Literal["text", "time", "number", "vector"]:
    if isinstance(dtype, pl.Array):
        return "vector"
    return (
        "time"
        if dtype.is_temporal()
        else "number"
        if dtype.is_numeric() or dtype == pl.Boolean
        else "text"
    )


def _mixed(x: Hashes) -> Hashes:
    with np.errstate(over="ignore"):
        x = x + np.uint64(_ABSENT)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _path(workspace: Workspace, bundle: str) -> Path:
    return workspace.fitted_rows(bundle)
