"""A number as its rank among the training rows, from -√3 to √3 (mean 0, deviation 1): insensitive
to any scale.

Between the training quantiles it is a straight line. The state keeps quantiles and no sums, so that
states of partitions do not merge.
"""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.features.graph.graph import Graph

KNOTS = 33
_SPREAD = 12**0.5


class Quantiles(Struct, frozen=True):
    """Ascending values `x` with the share of training rows at or below them `y`, and how many rows have no value."""

    x: list[float]
    y: list[float]
    missing: int


def fit(column: pl.Series) -> Quantiles:
    """Takes 33 quantiles; a value that several of them share stands at their middle."""
    values = column.cast(pl.Float64).drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return Quantiles([0.0], [0.5], len(column))
    levels = np.linspace(0, 1, KNOTS)
    x, where = np.unique(np.quantile(values, levels), return_inverse=True)
    y = np.bincount(where, levels) / np.bincount(where)
    return Quantiles(x.tolist(), y.tolist(), column.null_count())


def names(column: str, state: Quantiles) -> list[str]:
    """`COLUMN_rank`, and `COLUMN_rank_missing` where training rows miss it."""
    return [f"{column}_rank", f"{column}_rank_missing"] if state.missing else [f"{column}_rank"]


def nodes(
    graph: Graph, source: str, columns: list[int], states: list[Quantiles], width: int, double: bool
) -> str:
    """The sum of one ramp from each quantile to the next, for all columns at once."""
    values = graph.columns(source, columns, width)
    absent = graph.node("IsNaN", values)
    wide = values if double else graph.node("Cast", values, to=11)
    start = np.zeros((1, len(states), KNOTS - 1))
    length, rise = np.ones_like(start), np.zeros_like(start)
    base = np.zeros((1, len(states)))
    for at, state in enumerate(states):
        ramps = len(state.x) - 1
        start[0, at, :ramps], length[0, at, :ramps] = state.x[:-1], np.diff(state.x)
        rise[0, at, :ramps], base[0, at] = np.diff(state.y), state.y[0]
    held = graph.node("Where", absent, graph.constant(0.0, np.float64), wide)
    deep = graph.node("Unsqueeze", held, graph.constant([2], np.int64))
    along = graph.node(
        "Div", graph.node("Sub", deep, graph.constant(start)), graph.constant(length)
    )
    zero, one = graph.constant(0.0, np.float64), graph.constant(1.0, np.float64)
    climbed = graph.node(
        "Mul", graph.node("Min", graph.node("Max", along, zero), one), graph.constant(rise)
    )
    rank = graph.node("ReduceSum", climbed, graph.constant([2], np.int64), keepdims=0)
    centred = graph.node("Add", rank, graph.constant(base - 0.5, np.float64))
    scaled = graph.node("Mul", centred, graph.constant(_SPREAD, np.float64))
    filled = graph.node("Cast", graph.node("Where", absent, zero, scaled), to=1)
    return graph.flagged(filled, absent, [bool(state.missing) for state in states])


__all__ = ["fit", "names", "nodes"]
