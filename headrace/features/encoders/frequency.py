"""A category as the share of training rows that have it: one number, however many values there are.

A rare or unknown value has the mean share of the rare ones; missing has the share of rows without a
value. The shares of all columns are one table, in which each column has its own stretch:

    table   column 0: missing, rare, red, blue | column 1: missing, rare, north | …
    row     0         1     2    3               4         5     6
    index   code + 1                             code + 5
"""

import numpy as np

from headrace.features.graph.graph import Graph
from headrace.features.states.levels import Levels, fit, merge


def known(state: Levels) -> list[str]:
    """List the values that are frequent enough for a code."""
    return state.known()


def names(column: str, state: Levels) -> list[str]:
    """`COLUMN_frequency`."""
    return [f"{column}_frequency"]


def shares(state: Levels) -> list[float]:
    """Compute the share of rows for each code from -1 (missing) on.

    >>> shares(Levels({"red": 5, "blue": 2, "teal": 1, "pink": 1}, missing=1))
    [0.1, 0.1, 0.5, 0.2]
    """
    words = known(state)
    rare_values = len(state.counts) - len(words)
    rare_share = state.rare_rows() / rare_values / state.rows if rare_values else 0.0
    known_shares = [state.counts[word] / state.rows for word in words]
    return [state.missing / state.rows, rare_share, *known_shares]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Levels], width: int) -> str:
    """Look up the shares of `columns` from the codes `[N, width]`."""
    tables = [shares(state) for state in states]
    # A table begins with code -1, so the first index is the code plus 1.
    starts = np.cumsum([1, *map(len, tables[:-1])])
    codes = graph.select_columns(source, columns, width)
    shifted = graph.node("Add", codes, graph.constant([starts], np.float32))
    index = graph.node("Cast", shifted, to=7)
    return graph.node("Gather", graph.constant(np.concatenate(tables), np.float32), index)


__all__ = ["fit", "known", "merge", "names", "nodes"]
