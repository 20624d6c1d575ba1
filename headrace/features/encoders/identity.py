"""A vector as it is; a missing one is all 0."""

from headrace.features.graph.graph import Graph
from headrace.features.states.vector import Width, filled, fit, merge, names


def nodes(graph: Graph, source: str, state: Width) -> str:
    """The input without NaN."""
    return filled(graph, source)


__all__ = ["fit", "merge", "names", "nodes"]
