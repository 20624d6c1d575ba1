"""A category as one column per frequent value: what linear models want.

Rare and unseen values share a column, and so do missing ones, where the training rows had any.
"""

import numpy as np

from millrace.features.graph import Graph
from millrace.features.levels import MISSING, RARE, Levels, fit, merge

MOST = 100
"""Values with a column of their own; the block is dense, so it must stay narrow."""


def known(state: Levels) -> list[str]:
    """The most frequent values."""
    return state.known(MOST)


def names(column: str, state: Levels) -> list[str]:
    """`COLUMN=value` for each known value, then `COLUMN=<rare>` and `COLUMN=<missing>` where training rows had some."""
    words = [*known(state), *(["<rare>"] if state.rare_rows(MOST) else []), *(["<missing>"] if state.missing else [])]
    return [f"{column}={word}" for word in words]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Levels], width: int) -> str:
    """Each wanted code compared with its column's code, all columns at once."""
    wanted = [_codes(state) for state in states]
    positions = [column for column, codes in zip(columns, wanted, strict=True) for _ in codes]
    repeated = graph.node("Gather", source, graph.constant(positions, np.int64), axis=1)
    flat = [float(code) for codes in wanted for code in codes]
    return graph.node("Cast", graph.node("Equal", repeated, graph.constant([flat], np.float32)), to=1)


def _codes(state: Levels) -> list[int]:
    codes = list(range(1, len(known(state)) + 1))
    return codes + ([RARE] if state.rare_rows(MOST) else []) + ([MISSING] if state.missing else [])


__all__ = ["fit", "known", "merge", "names", "nodes"]
