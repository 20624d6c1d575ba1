"""Wide features that never become dense: each row is a bag of entries of one table.

A bag holds the numbers of the entries that a row has. Number 0 means "no entry" and pads the rows
of a batch to one length:

    ids     [[3, 1, 0],         row 0 has the entries 3 and 1
             [2, 2, 5]]         row 1 has entry 2 twice, and entry 5
    weights [0, w1, w2, w3, w4, w5]

    row 0 as a vector of width 5:   scale[0] * [w1,    0, w3, 0,  0]
    row 1 as a vector of width 5:   scale[1] * [ 0, 2*w2,  0, 0, w5]

In training such a row is a row of a sparse matrix (see `csr`). In the graph its product with a
matrix is a `Gather` and a `ReduceSum`, which cost the same whatever the width.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headrace.features.graph.graph import Graph


class Bag(NamedTuple):
    """A bag of entries for each row of a graph.

    `ids`: the int64 tensor `[N, L]` of entries, 0 for none. `scale`: a float32 tensor `[N, 1]` that
    multiplies each row, or none. `weights` `(width + 1,)`: the weight of each entry, 0 for entry 0.
    """

    ids: str
    scale: str | None
    weights: npt.NDArray[np.float32]

    @property
    def width(self) -> int:
        """The number of columns that the bag replaces."""
        return len(self.weights) - 1


def make_bag(graph: Graph, ids: str, weights: npt.NDArray[np.float32], scaled: bool) -> Bag:
    """Make a bag of the entries `ids`; with `scaled`, divide each row by its length.

    The length takes each occurrence of an entry as an entry of its own.
    """
    if not scaled:
        return Bag(ids, None, weights)

    squares = graph.node("Gather", graph.constant(np.square(weights)), ids)
    total = _sum_entries(graph, squares, keepdims=1)
    safe = graph.node("Max", total, graph.constant(1e-12, np.float64))
    factor = graph.node("Reciprocal", graph.node("Sqrt", safe))
    return Bag(ids, graph.node("Cast", factor, to=1), weights)


def multiply_bag(graph: Graph, bag: Bag, matrix: npt.NDArray[np.float32]) -> str:
    """Multiply the rows of a bag by `matrix` `(width, K)`; return the float64 tensor `[N, K]`."""
    graph.numbers_per_entry = max(graph.numbers_per_entry, matrix.shape[1])
    table = np.vstack([np.zeros((1, matrix.shape[1])), matrix]) * bag.weights[:, None]

    rows = graph.node("Gather", graph.constant(table, np.float32), bag.ids)
    total = _sum_entries(graph, rows, keepdims=0)
    if bag.scale is None:
        return total
    return graph.node("Mul", total, graph.node("Cast", bag.scale, to=11))


def _sum_entries(graph: Graph, rows: str, keepdims: int) -> str:
    """Sum over the entries of each row, in float64.

    A batch pads its rows to one length. In float32 the sum of a row could depend on that length.
    """
    wide = graph.node("Cast", rows, to=11)
    return graph.node("ReduceSum", wide, graph.constant([1], np.int64), keepdims=keepdims)
