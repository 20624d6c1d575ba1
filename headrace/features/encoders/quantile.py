"""A number as its rank among the training rows, from -√3 to √3: insensitive to any scale.

So a column has the mean 0 and the deviation 1. The rank is a straight line between the training
quantiles, which the graph computes as a sum of ramps:

    rank                                 rank(x) = y[0] + sum over i of
    y[2] |          ______
         |         /                        (y[i + 1] - y[i])
    y[1] |       _/                         * clip((x - x[i]) / (x[i + 1] - x[i]), 0, 1)
         |     /
    y[0] |____/
              x[0] x[1] x[2]

The state holds quantiles and no sums, so the states of partitions do not merge.
"""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.features.graph.graph import Graph

KNOTS = 33
_SPREAD = 12**0.5
"""The factor from a uniform number of the range 1 to one of the deviation 1."""


class Quantiles(Struct, frozen=True):
    """The quantiles of a column, and how many rows have no value.

    `y` are shares of the training rows, ascending, and `x` the values at which they are reached.
    """

    x: list[float]
    y: list[float]
    missing: int


def fit(column: pl.Series) -> Quantiles:
    """Find 33 quantiles; several that share a value become one, with the mean of their shares.

    >>> state = fit(pl.Series([0.0] * 50 + [1.0] * 51))
    >>> state.x, [round(y, 2) for y in state.y]
    ([0.0, 1.0], [0.23, 0.75])
    """
    values = column.cast(pl.Float64).drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return Quantiles([0.0], [0.5], len(column))

    shares = np.linspace(0, 1, KNOTS)
    x, index = np.unique(np.quantile(values, shares), return_inverse=True)
    y = np.bincount(index, shares) / np.bincount(index)
    return Quantiles(x.tolist(), y.tolist(), column.null_count())


def names(column: str, state: Quantiles) -> list[str]:
    """`COLUMN_rank`, and `COLUMN_rank_missing` where training rows miss it."""
    return [f"{column}_rank", f"{column}_rank_missing"] if state.missing else [f"{column}_rank"]


def nodes(
    graph: Graph, source: str, columns: list[int], states: list[Quantiles], width: int, double: bool
) -> str:
    """Add the sum of one ramp from each quantile to the next, for all columns at once."""
    values = graph.select_columns(source, columns, width)
    absent = graph.node("IsNaN", values)
    wide = values if double else graph.node("Cast", values, to=11)

    # A column with fewer quantiles has ramps that rise by 0.
    start = np.zeros((1, len(states), KNOTS - 1))
    length = np.ones_like(start)
    rise = np.zeros_like(start)
    base = np.zeros((1, len(states)))
    for position, state in enumerate(states):
        ramps = len(state.x) - 1
        start[0, position, :ramps] = state.x[:-1]
        length[0, position, :ramps] = np.diff(state.x)
        rise[0, position, :ramps] = np.diff(state.y)
        base[0, position] = state.y[0]

    # [N, columns] becomes [N, columns, 1], and with the ramps [N, columns, ramps].
    filled = graph.node("Where", absent, graph.constant(0.0, np.float64), wide)
    deep = graph.node("Unsqueeze", filled, graph.constant([2], np.int64))
    distance = graph.node("Sub", deep, graph.constant(start))
    along = graph.node("Div", distance, graph.constant(length))
    zero = graph.constant(0.0, np.float64)
    one = graph.constant(1.0, np.float64)
    clipped = graph.node("Min", graph.node("Max", along, zero), one)
    climbed = graph.node("Mul", clipped, graph.constant(rise))
    rank = graph.node("ReduceSum", climbed, graph.constant([2], np.int64), keepdims=0)

    centred = graph.node("Add", rank, graph.constant(base - 0.5, np.float64))
    scaled = graph.node("Mul", centred, graph.constant(_SPREAD, np.float64))
    result = graph.node("Cast", graph.node("Where", absent, zero, scaled), to=1)
    return graph.insert_flags(result, absent, [bool(state.missing) for state in states])


__all__ = ["fit", "names", "nodes"]
