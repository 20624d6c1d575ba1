"""A vector as it is; a missing one is all 0."""

from headrace.features.graph.graph import Graph
from headrace.features.states.vector import Width, fill_missing, fit, merge, names


def nodes(graph: Graph, source: str, state: Width) -> str:
    """Replace NaN by 0 in the vectors `[N, D]`."""
    return fill_missing(graph, source)


__all__ = ["fit", "merge", "names", "nodes"]
