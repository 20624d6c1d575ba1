"""A number as it is, missing as NaN, which suits trees.

A column of the `doubles` group is centred in float64 before it is rounded to float32, so that its
small differences survive.
"""

import numpy as np

from headrace.features.graph.graph import Graph
from headrace.features.states.moments import Moments, fit, merge


def names(column: str, state: Moments) -> list[str]:
    """One column under its own name."""
    return [column]


def nodes(
    graph: Graph, source: str, columns: list[int], states: list[Moments], width: int, double: bool
) -> str:
    """Select `columns` of `source` `[N, width]` as float32 `[N, len(columns)]`."""
    values = graph.select_columns(source, columns, width)
    if not double:
        return values
    means = graph.constant([[state.mean for state in states]], np.float64)
    return graph.node("Cast", graph.node("Sub", values, means), to=1)


__all__ = ["fit", "merge", "names", "nodes"]
