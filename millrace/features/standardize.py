"""Numbers with mean 0 and deviation 1, missing at the mean with a flag beside: what linear models want.

Values beyond the training range are held at its ends, so an infinity or a slip of the keyboard moves a score no
further than the largest value that was learned from.
"""

import numpy as np

from millrace.features.graph import Graph
from millrace.features.moments import Moments, fit, merge


def names(column: str, state: Moments) -> list[str]:
    """The column, and `COLUMN_missing` where training rows miss it."""
    return [column, f"{column}_missing"] if state.missing else [column]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Moments], width: int, double: bool) -> str:
    """Scaled in float64 and cast last; NaN is replaced before any product, for it would spread over the row."""
    values = graph.columns(source, columns, width)
    absent = graph.node("IsNaN", values)
    wide = values if double else graph.node("Cast", values, to=11)

    def row(numbers: list[float]) -> str:
        return graph.constant([numbers], np.float64)

    centred = graph.node("Sub", wide, row([state.mean for state in states]))
    scaled = graph.node("Div", centred, row([state.scale for state in states]))
    filled = graph.node("Where", absent, graph.constant(0.0, np.float64), scaled)
    low = row([(state.low - state.mean) / state.scale for state in states])
    high = row([(state.high - state.mean) / state.scale for state in states])
    held = graph.node("Cast", graph.node("Min", graph.node("Max", filled, low), high), to=1)
    flagged = [index for index, state in enumerate(states) if state.missing]
    if not flagged:
        return held
    flags = graph.columns(graph.node("Cast", absent, to=1), flagged, len(states))
    # Interleaved, so that a column's flag stands beside it as `names` says.
    order, flag = [], len(states)
    for index, state in enumerate(states):
        order.append(index)
        if state.missing:
            order.append(flag)
            flag += 1
    return graph.columns(graph.node("Concat", held, flags, axis=1), order, flag)


__all__ = ["fit", "merge", "names", "nodes"]
