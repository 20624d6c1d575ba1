"""Wide features that never become dense: a row as a bag of entries of one table.

A row's vector is `Σ weights[ids] / norm` over one-hot vectors of `width` entries. In training it is
a sparse row; in the graph its product with a matrix of weights is a `Gather` and a `ReduceSum`,
whatever the width.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headrace.features.graph.graph import Graph


class Bag(NamedTuple):
    """`ids`, the tensor int64 `[N, L]` of entries, 0 for none; `scale`, a tensor `[N, 1]` that
    multiplies each row, or none; `weights` `(width + 1,)`, what an entry counts (0 for entry 0).
    """

    ids: str
    scale: str | None
    weights: npt.NDArray[np.float32]

    @property
    def width(self) -> int:
        """The columns that it stands for."""
        return len(self.weights) - 1


def make_bag(graph: Graph, ids: str, weights: npt.NDArray[np.float32], scaled: bool) -> Bag:
    """A bag of these entries; with `scaled`, each row has the length 1 (entries that repeat count once each)."""
    if not scaled:
        return Bag(ids, None, weights)
    squares = _total(graph, graph.node("Gather", graph.constant(np.square(weights)), ids), keep=1)
    safe = graph.node("Max", squares, graph.constant(1e-12, np.float64))
    return Bag(
        ids, graph.node("Cast", graph.node("Reciprocal", graph.node("Sqrt", safe)), to=1), weights
    )


def multiply_bag(graph: Graph, bag: Bag, matrix: npt.NDArray[np.float32]) -> str:
    """The bag's rows times `matrix` `(width, K)`: float64 `[N, K]`."""
    graph.numbers_per_entry = max(graph.numbers_per_entry, matrix.shape[1])
    table = np.vstack([np.zeros((1, matrix.shape[1])), matrix]) * bag.weights[:, None]
    rows = graph.node("Gather", graph.constant(table, np.float32), bag.ids)
    total = _total(graph, rows, keep=0)
    return (
        total
        if bag.scale is None
        else graph.node("Mul", total, graph.node("Cast", bag.scale, to=11))
    )


def _total(graph: Graph, rows: str, keep: int) -> str:
    """The sum over a row's entries, in float64: a batch pads rows to one length, which must not
    change what they give.
    """
    wide = graph.node("Cast", rows, to=11)
    return graph.node("ReduceSum", wide, graph.constant([1], np.int64), keepdims=keep)
