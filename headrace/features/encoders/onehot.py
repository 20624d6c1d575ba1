"""A category as one column per frequent value: what linear models want.

Rare and unseen values share a column, and so do missing ones, where the training rows had any. With
more than a hundred values a linear model gets them as a bag, and trees the hundred most frequent
ones.
"""

import numpy as np

from headrace.features.graph.bag import Bag
from headrace.features.graph.graph import Graph
from headrace.features.graph.reserved import MISSING, RARE
from headrace.features.states.levels import Levels, fit, merge

MOST = 100
"""Values with a column of their own where the block is dense."""


def is_wide(state: Levels) -> bool:
    """Whether there are too many values for a dense block."""
    return len(state.known(MOST + 1)) > MOST


def known(state: Levels) -> list[str]:
    """Every value that is frequent enough."""
    return state.known()


def names(column: str, state: Levels) -> list[str]:
    """`COLUMN=value` for each value, then `COLUMN=<rare>` and `COLUMN=<missing>` where training rows had some."""
    rare = ["<rare>"] if state.rare_rows(MOST) else []
    words = [*state.known(MOST), *rare, *(["<missing>"] if state.missing else [])]
    return [f"{column}={word}" for word in words]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Levels], width: int) -> str:
    """Each wanted code compared with its column's code, all columns at once; codes beyond the dense ones are rare."""
    wanted = [_codes(state) for state in states]
    repeats = np.zeros((width, sum(map(len, wanted))), np.float32)
    repeats[
        [column for column, codes in zip(columns, wanted, strict=True) for _ in codes],
        range(repeats.shape[1]),
    ] = 1
    if any(is_wide(state) for state in states):
        beyond = graph.node("Greater", source, graph.constant(MOST, np.float32))
        source = graph.node("Where", beyond, graph.constant(RARE, np.float32), source)
    # Codes are small whole numbers and never NaN: the product is exact, and ten times as fast as a
    # Gather.
    repeated = graph.node("MatMul", source, graph.constant(repeats))
    flat = [float(code) for codes in wanted for code in codes]
    return graph.node(
        "Cast", graph.node("Equal", repeated, graph.constant([flat], np.float32)), to=1
    )


def bags(graph: Graph, codes: str, state: Levels) -> list[Bag]:
    """A bag with one entry, the code `[N, 1]` counted from 1 (missing) on."""
    number = graph.node("Cast", codes, to=7)
    ids = graph.node("Add", number, graph.constant(1 - MISSING, np.int64))
    return [
        Bag(ids, None, np.concatenate([[0.0], np.ones(len(known(state)) + 2)]).astype(np.float32))
    ]


def _codes(state: Levels) -> list[int]:
    codes = list(range(1, len(state.known(MOST)) + 1))
    return codes + ([RARE] if state.rare_rows(MOST) else []) + ([MISSING] if state.missing else [])


__all__ = ["bags", "fit", "is_wide", "known", "merge", "names", "nodes"]
