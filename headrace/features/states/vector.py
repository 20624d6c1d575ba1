"""The state of a vector column, and the rows that have none."""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.features.graph.graph import Graph


class Width(Struct, frozen=True):
    """How many numbers a vector has, and how many rows have one or none."""

    width: int
    rows: int
    missing: int


def fit(column: pl.Series) -> Width:
    """Looks at a column of arrays of one width."""
    return Width(width_of(column), len(column) - column.null_count(), column.null_count())


def width_of(column: pl.Series) -> int:
    """The width of a column of `Array`."""
    assert isinstance(column.dtype, pl.Array)
    return int(column.dtype.shape[0])


def merge(a: Width, b: Width) -> Width:
    """The rows of two partitions together."""
    return Width(a.width, a.rows + b.rows, a.missing + b.missing)


def names(column: str, state: Width) -> list[str]:
    """`COLUMN_0` and so on."""
    return [f"{column}_{number}" for number in range(state.width)]


def filled(graph: Graph, source: str) -> str:
    """The vectors with 0 for NaN, which would spread over any product."""
    return graph.node("Where", graph.node("IsNaN", source), graph.constant(0.0, np.float32), source)
