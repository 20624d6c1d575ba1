"""A category as one column of 0 and 1 for each frequent value, which suits linear models.

Rare and unknown values share a column, and so do missing ones, where the training rows had any:

    values     city=Rome  city=Oslo  city=<rare>  city=<missing>
    Rome       1          0          0            0
    Elsewhere  0          0          1            0
    (missing)  0          0          0            1

With more than a hundred values a linear model gets them as a bag, and trees get the hundred most
frequent ones.
"""

import numpy as np

from headrace.features.graph.bag import Bag
from headrace.features.graph.graph import Graph
from headrace.features.graph.reserved import MISSING, RARE
from headrace.features.states.levels import Levels, fit, merge

MOST = 100
"""The most values with a column of their own in a matrix."""


def is_wide(state: Levels) -> bool:
    """Say whether there are too many values for columns of a matrix."""
    return len(state.known(MOST + 1)) > MOST


def known(state: Levels) -> list[str]:
    """List the values that are frequent enough for a code."""
    return state.known()


def names(column: str, state: Levels) -> list[str]:
    """`COLUMN=value` for each value.

    Then `COLUMN=<rare>` and `COLUMN=<missing>` where training rows had such values.
    """
    words = state.known(MOST)
    if state.rare_rows(MOST):
        words.append("<rare>")
    if state.missing:
        words.append("<missing>")
    return [f"{column}={word}" for word in words]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Levels], width: int) -> str:
    """Compare each wanted code with the code of its column, for all columns at once.

    The codes `[N, width]` are repeated to one column for each wanted code. Of column 0 with the
    wanted codes 1, 2, 0 and column 1 with the wanted codes 1, -1:

        codes     [[2, -1]]
        repeated  [[2, 2, 2, -1, -1]]
        wanted    [[1, 2, 0,  1, -1]]
        equal     [[0, 1, 0,  0,  1]]
    """
    wanted = [_list_codes(state) for state in states]
    sizes = [len(codes) for codes in wanted]
    repeats = np.zeros((width, sum(sizes)), np.float32)
    repeats[np.repeat(columns, sizes), range(sum(sizes))] = 1

    # Codes that have no column of their own are rare here.
    if any(is_wide(state) for state in states):
        beyond = graph.node("Greater", source, graph.constant(MOST, np.float32))
        source = graph.node("Where", beyond, graph.constant(RARE, np.float32), source)

    # Codes are small whole numbers and never NaN: the product is exact, and ten times as fast as a
    # Gather.
    repeated = graph.node("MatMul", source, graph.constant(repeats))
    flat = graph.constant([np.concatenate(wanted)], np.float32)
    equal = graph.node("Equal", repeated, flat)
    return graph.node("Cast", equal, to=1)


def bags(graph: Graph, codes: str, state: Levels) -> list[Bag]:
    """Add a bag with one entry, the code `[N, 1]` counted from 1 (missing) on."""
    number = graph.node("Cast", codes, to=7)
    ids = graph.node("Add", number, graph.constant(1 - MISSING, np.int64))
    # Missing and rare are entries too.
    width = len(known(state)) + 2
    weights = np.concatenate([[0.0], np.ones(width)]).astype(np.float32)
    return [Bag(ids, None, weights)]


def _list_codes(state: Levels) -> list[int]:
    """List the codes of the columns, in the order of `names`."""
    codes = list(range(1, len(state.known(MOST)) + 1))
    if state.rare_rows(MOST):
        codes.append(RARE)
    if state.missing:
        codes.append(MISSING)
    return codes


__all__ = ["bags", "fit", "is_wide", "known", "merge", "names", "nodes"]
