"""A vector divided by its length, so that products of two are cosines.

A missing vector, or one of length 0, is all 0.
"""

import numpy as np

from headrace.features.graph.graph import Graph
from headrace.features.states.vector import Width, fill_missing, fit, merge, names


def nodes(graph: Graph, source: str, state: Width) -> str:
    """Add `x / |x|` of the vectors `[N, D]`."""
    values = fill_missing(graph, source)
    length = graph.node("ReduceL2", values, graph.constant([1], np.int64), keepdims=1)
    safe = graph.node("Max", length, graph.constant(1e-12, np.float32))
    return graph.node("Div", values, safe)


__all__ = ["fit", "merge", "names", "nodes"]
