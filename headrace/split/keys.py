"""What ties rows together: exact duplicates and shared ids."""

import numpy as np
import polars as pl
import polars.selectors as cs
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from headrace.arrays import Integers


def row_keys(frame: pl.DataFrame, id_column: str | None) -> list[Integers]:
    """One code per row and kind of tie: rows with equal codes are duplicates (all columns but the
    id) or share an id.

    Returns arrays `(N,)`; a missing id ties nothing.
    """
    plain = ~cs.nested() | cs.array()  # a vector is a value like others
    values = frame.select(plain - cs.by_name(id_column) if id_column else plain)
    keys = [_codes(values.hash_rows())]
    if id_column:
        ids = frame[id_column]
        codes = _codes(ids)
        absent = ids.is_null().to_numpy()
        codes[absent] = len(ids) + np.arange(absent.sum())
        keys.append(codes)
    return keys


def units(keys: list[Integers]) -> Integers:
    """Joins rows that are tied by any key, also through others, into units `(N,)` that must stay together."""
    if len(keys) == 1:
        return keys[0]
    rows = len(keys[0])
    offset, ends = rows, []
    for key in keys:
        ends.append(key + offset)
        offset += int(key.max()) + 1
    link = np.concatenate(ends)
    graph = coo_array(
        (np.ones(len(link), dtype=np.int8), (np.tile(np.arange(rows), len(keys)), link)),
        (offset, offset),
    )
    return np.asarray(connected_components(graph, directed=False)[1][:rows], dtype=np.int64)


def purge(rows: Integers, kept: Integers, keys: list[Integers]) -> Integers:
    """`rows` without those that share a key with a row of `kept`."""
    crossing = np.zeros(len(rows), dtype=bool)
    for key in keys:
        crossing |= np.isin(key[rows], key[kept])
    return rows[~crossing]


def _codes(values: pl.Series) -> Integers:
    return values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy().copy()
