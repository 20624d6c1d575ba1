"""A category as its rank by frequency: what trees want. Missing is -1, rare and unseen 0."""

from headrace.features.graph.graph import Graph
from headrace.features.states.levels import Levels, fit, merge


def known(state: Levels) -> list[str]:
    """Every value that is frequent enough."""
    return state.known()


def names(column: str, state: Levels) -> list[str]:
    """One column under its own name."""
    return [column]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Levels], width: int) -> str:
    """The codes themselves."""
    return graph.columns(source, columns, width)


__all__ = ["fit", "known", "merge", "names", "nodes"]
