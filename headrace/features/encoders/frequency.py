"""A category as the share of training rows that have it: one number, whatever the number of values.

A rare or unseen value has the mean share of the rare ones; missing has the share of rows without a
value.
"""

import numpy as np

from headrace.features.graph.graph import Graph
from headrace.features.states.levels import Levels, fit, merge


def known(state: Levels) -> list[str]:
    """Every value that is frequent enough."""
    return state.known()


def names(column: str, state: Levels) -> list[str]:
    """`COLUMN_frequency`."""
    return [f"{column}_frequency"]


def shares(state: Levels) -> list[float]:
    """The share for each code from -1 (missing) on."""
    words = known(state)
    rare = len(state.counts) - len(words)
    rare_share = state.rare_rows() / rare / state.rows if rare else 0.0
    return [
        state.missing / state.rows,
        rare_share,
        *(state.counts[word] / state.rows for word in words),
    ]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Levels], width: int) -> str:
    """One table for all columns; a column's codes are shifted to its own stretch of it."""
    tables = [shares(state) for state in states]
    starts = np.cumsum([1, *map(len, tables[:-1])])
    shifted = graph.node(
        "Add", graph.columns(source, columns, width), graph.constant([starts], np.float32)
    )
    index = graph.node("Cast", shifted, to=7)
    return graph.node("Gather", graph.constant(np.concatenate(tables), np.float32), index)


__all__ = ["fit", "known", "merge", "names", "nodes"]
