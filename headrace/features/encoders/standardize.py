"""A number with mean 0 and deviation 1, which suits linear models.

A missing value is at the mean, and a flag in a column of its own says that it is missing.

A value beyond the training range counts as the nearest value of that range. So an infinity or a
slip of the keyboard moves a score no further than the largest training value does:

    training values 0 … 10, mean 4, deviation 2

    value      0     4     10     1000    inf     missing
    column    -2     0      3        3      3     0
    flag       0     0      0        0      0     1
"""

import numpy as np

from headrace.features.graph.graph import Graph
from headrace.features.states.moments import Moments, fit, merge


def names(column: str, state: Moments) -> list[str]:
    """`COLUMN`, and `COLUMN_missing` where training rows miss it."""
    return [column, f"{column}_missing"] if state.missing else [column]


def nodes(
    graph: Graph, source: str, columns: list[int], states: list[Moments], width: int, double: bool
) -> str:
    """Scale `columns` of `source` `[N, width]` in float64; cast them to float32 last."""
    values = graph.select_columns(source, columns, width)
    return scale(graph, values if double else graph.node("Cast", values, to=11), states)


def scale(graph: Graph, wide: str, states: list[Moments]) -> str:
    """Scale the float64 columns `wide` `[N, C]`, and insert flags for missing values."""
    absent = graph.node("IsNaN", wide)

    def row(numbers: list[float]) -> str:
        return graph.constant([numbers], np.float64)

    centred = graph.node("Sub", wide, row([state.mean for state in states]))
    shrunk = graph.node("Div", centred, row([state.scale for state in states]))
    # NaN is replaced before any product, which would spread it over the row.
    filled = graph.node("Where", absent, graph.constant(0.0, np.float64), shrunk)

    low = row([(state.low - state.mean) / state.scale for state in states])
    high = row([(state.high - state.mean) / state.scale for state in states])
    clipped = graph.node("Min", graph.node("Max", filled, low), high)
    rounded = graph.node("Cast", clipped, to=1)
    return graph.insert_flags(rounded, absent, [bool(state.missing) for state in states])


__all__ = ["fit", "merge", "names", "nodes", "scale"]
