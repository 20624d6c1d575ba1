"""Numbers with mean 0 and deviation 1, missing at the mean with a flag beside: what linear models
want.

Values beyond the training range are held at its ends, so an infinity or a slip of the keyboard
moves a score no further than the largest value that was learned from.
"""

import numpy as np

from headrace.features.graph.graph import Graph
from headrace.features.states.moments import Moments, fit, merge


def names(column: str, state: Moments) -> list[str]:
    """The column, and `COLUMN_missing` where training rows miss it."""
    return [column, f"{column}_missing"] if state.missing else [column]


def nodes(
    graph: Graph, source: str, columns: list[int], states: list[Moments], width: int, double: bool
) -> str:
    """Scaled in float64 and cast last."""
    values = graph.columns(source, columns, width)
    return scaled(graph, values if double else graph.node("Cast", values, to=11), states)


def scaled(graph: Graph, wide: str, states: list[Moments]) -> str:
    """The float64 columns `wide` scaled; NaN is replaced before any product, for it would spread over the row."""
    absent = graph.node("IsNaN", wide)

    def row(numbers: list[float]) -> str:
        return graph.constant([numbers], np.float64)

    centred = graph.node("Sub", wide, row([state.mean for state in states]))
    shrunk = graph.node("Div", centred, row([state.scale for state in states]))
    filled = graph.node("Where", absent, graph.constant(0.0, np.float64), shrunk)
    low = row([(state.low - state.mean) / state.scale for state in states])
    high = row([(state.high - state.mean) / state.scale for state in states])
    held = graph.node("Cast", graph.node("Min", graph.node("Max", filled, low), high), to=1)
    return graph.flagged(held, absent, [bool(state.missing) for state in states])


__all__ = ["fit", "merge", "names", "nodes", "scaled"]
