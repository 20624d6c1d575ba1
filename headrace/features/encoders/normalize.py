"""A vector divided by its length, so that products of two are cosines; a missing or zero one is all 0."""

import numpy as np

from headrace.features.graph.graph import Graph
from headrace.features.states.vector import Width, filled, fit, merge, names


def nodes(graph: Graph, source: str, state: Width) -> str:
    """`x / |x|`."""
    values = filled(graph, source)
    length = graph.node("ReduceL2", values, graph.constant([1], np.int64), keepdims=1)
    return graph.node("Div", values, graph.node("Max", length, graph.constant(1e-12, np.float32)))


__all__ = ["fit", "merge", "names", "nodes"]
