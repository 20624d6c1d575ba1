"""A number on a logarithmic scale, `sign(x) · ln(1 + |x|)`, then standardized: for amounts and
counts with long tails.
"""

import numpy as np
import polars as pl

from headrace.features.encoders import standardize
from headrace.features.graph.graph import Graph
from headrace.features.states import moments
from headrace.features.states.moments import Moments, merge


def fit(column: pl.Series) -> Moments:
    """The moments of the logarithms."""
    values = column.cast(pl.Float64).to_numpy()
    return moments.fit(
        pl.Series(column.name, np.sign(values) * np.log1p(np.abs(values)), nan_to_null=True)
    )


def names(column: str, state: Moments) -> list[str]:
    """`COLUMN_log`, and `COLUMN_log_missing` where training rows miss it."""
    return standardize.names(f"{column}_log", state)


def nodes(
    graph: Graph, source: str, columns: list[int], states: list[Moments], width: int, double: bool
) -> str:
    """The logarithm in float64, then as `standardize`."""
    values = graph.columns(source, columns, width)
    wide = values if double else graph.node("Cast", values, to=11)
    size = graph.node(
        "Log", graph.node("Add", graph.node("Abs", wide), graph.constant(1.0, np.float64))
    )
    return standardize.scaled(graph, graph.node("Mul", graph.node("Sign", wide), size), states)


__all__ = ["fit", "merge", "names", "nodes"]
