"""Ties between rows: exact duplicates and shared ids, which must never cross a border.

Each kind of tie is a key, an array with one number for each row; rows with equal numbers are tied:

    row   x   y   id        key of values   key of ids
    0     7   1   A         0               0
    1     7   1   B         0               1               tied to row 0: all values are equal
    2     8   1   B         1               1               tied to row 1: the id is equal
    3     9   0   C         2               2

Rows that are tied through others are tied too: the rows 0, 1 and 2 stay together. To find such
units, rows and key values are the nodes of a graph, and its connected components the units:

    value 0 ─── row 0 ─── id 0
          └──── row 1 ─── id 1
    value 1 ─── row 2 ────┘
    value 2 ─── row 3 ─── id 2
"""

import numpy as np
import polars as pl
import polars.selectors as cs
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from headrace.arrays import Integers


def row_keys(frame: pl.DataFrame, id_column: str | None) -> list[Integers]:
    """Compute the keys `(N,)` of rows: of all columns but the id, and of the id where there is one.

    A missing id ties nothing.

    >>> frame = pl.DataFrame({"x": [7, 7, 8], "id": ["A", None, None]})
    >>> values, ids = row_keys(frame, "id")
    >>> bool(values[0] == values[1]), bool(ids[1] == ids[2])
    (True, False)
    """
    # A vector is a value like others, but lists and structs cannot be hashed.
    columns = ~cs.nested() | cs.array()
    if id_column:
        columns = columns - cs.by_name(id_column)
    keys = [_number_values(frame.select(columns).hash_rows())]

    if id_column:
        ids = frame[id_column]
        key = _number_values(ids)
        absent = ids.is_null().to_numpy()
        # Each missing id becomes a number of its own, above all others.
        key[absent] = len(ids) + np.arange(absent.sum())
        keys.append(key)
    return keys


def join_tied_rows(keys: list[Integers]) -> Integers:
    """Join rows that are tied by any key, also through others, into units that stay together.

    Returns the number of the unit of each row `(N,)`.

    >>> join_tied_rows([np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])]).tolist()
    [0, 0, 0, 1]
    """
    if len(keys) == 1:
        return keys[0]

    # The nodes are the rows, then the values of the first key, then those of the second, …
    rows = len(keys[0])
    nodes = rows
    ends = []
    for key in keys:
        ends.append(key + nodes)
        nodes += int(key.max()) + 1

    end = np.concatenate(ends)
    start = np.tile(np.arange(rows), len(keys))
    graph = coo_array((np.ones(len(end), dtype=np.int8), (start, end)), (nodes, nodes))
    _, units = connected_components(graph, directed=False)
    return np.asarray(units[:rows], dtype=np.int64)


def purge(rows: Integers, others: Integers, keys: list[Integers]) -> Integers:
    """Remove from `rows` those that share a key with a row of `others`.

    >>> purge(np.array([0, 3]), np.array([1, 2]), [np.array([0, 0, 1, 2])]).tolist()
    [3]
    """
    crossing = np.zeros(len(rows), dtype=bool)
    for key in keys:
        crossing |= np.isin(key[rows], key[others])
    return rows[~crossing]


def order_by_query(order: Integers, queries: Integers) -> Integers:
    """Return the order of each row's earliest companion `(N,)`.

    >>> order_by_query(np.array([3, 1, 2]), np.array([0, 1, 0])).tolist()
    [2, 1, 2]
    """
    earliest = np.full(int(queries.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, queries, order)
    return earliest[queries]


def _number_values(values: pl.Series) -> Integers:
    """Return a number for each row, equal for equal values; null is 0."""
    return values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy().copy()
