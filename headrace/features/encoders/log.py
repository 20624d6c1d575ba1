"""A number on a logarithmic scale, then standardized: for amounts and counts with long tails.

The scale is `sign(x) · ln(1 + |x|)`, which is defined for every number:

    x       -99     -1     0     1     99    9,999
    scale  -4.6   -0.7     0   0.7    4.6      9.2
"""

import numpy as np
import polars as pl

from headrace.features.encoders import standardize
from headrace.features.graph.graph import Graph
from headrace.features.states import moments
from headrace.features.states.moments import Moments, merge


def fit(column: pl.Series) -> Moments:
    """Compute the moments of the logarithms."""
    values = column.cast(pl.Float64).to_numpy()
    logarithms = np.sign(values) * np.log1p(np.abs(values))
    return moments.fit(pl.Series(column.name, logarithms, nan_to_null=True))


def names(column: str, state: Moments) -> list[str]:
    """`COLUMN_log`, and `COLUMN_log_missing` where training rows miss it."""
    return standardize.names(f"{column}_log", state)


def nodes(
    graph: Graph, source: str, columns: list[int], states: list[Moments], width: int, double: bool
) -> str:
    """Add the logarithms of `columns` in float64, and scale them as `standardize` does."""
    values = graph.select_columns(source, columns, width)
    wide = values if double else graph.node("Cast", values, to=11)
    more = graph.node("Add", graph.node("Abs", wide), graph.constant(1.0, np.float64))
    size = graph.node("Log", more)
    logarithms = graph.node("Mul", graph.node("Sign", wide), size)
    return standardize.scale(graph, logarithms, states)


__all__ = ["fit", "merge", "names", "nodes"]
