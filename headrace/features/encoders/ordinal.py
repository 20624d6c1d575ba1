"""A category as its rank by frequency, which suits trees. Missing is -1, rare and unknown 0."""

from headrace.features.graph.graph import Graph
from headrace.features.states.levels import Levels, fit, merge


def known(state: Levels) -> list[str]:
    """List the values that are frequent enough for a code."""
    return state.known()


def names(column: str, state: Levels) -> list[str]:
    """One column under its own name."""
    return [column]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Levels], width: int) -> str:
    """Select the codes of `columns` from all codes `[N, width]`."""
    return graph.select_columns(source, columns, width)


__all__ = ["fit", "known", "merge", "names", "nodes"]
