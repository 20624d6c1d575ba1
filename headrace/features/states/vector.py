"""The state of a vector column: its width, and how many rows have no vector."""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.features.graph.graph import Graph


class Width(Struct, frozen=True):
    """How many numbers a vector has, and how many rows have a vector or none."""

    width: int
    rows: int
    missing: int


def fit(column: pl.Series) -> Width:
    """Count the rows of a column of `Array`, whose vectors have one width.

    >>> fit(pl.Series([[1.0, 0.5], None], dtype=pl.Array(pl.Float32, 2)))
    Width(width=2, rows=1, missing=1)
    """
    return Width(width_of(column), len(column) - column.null_count(), column.null_count())


def width_of(column: pl.Series) -> int:
    """Return the width of a column of `Array`."""
    assert isinstance(column.dtype, pl.Array)
    return int(column.dtype.shape[0])


def merge(a: Width, b: Width) -> Width:
    """Merge the states of two partitions."""
    return Width(a.width, a.rows + b.rows, a.missing + b.missing)


def names(column: str, state: Width) -> list[str]:
    """`COLUMN_0` and so on."""
    return [f"{column}_{number}" for number in range(state.width)]


def fill_missing(graph: Graph, source: str) -> str:
    """Replace NaN by 0 in the vectors: a product would spread NaN over the row."""
    return graph.node("Where", graph.node("IsNaN", source), graph.constant(0.0, np.float32), source)
