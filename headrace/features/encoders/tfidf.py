"""A text as its words, pairs of words and runs of characters, weighted by rarity: what linear models want."""

from headrace.features.graph.bag import Bag
from headrace.features.graph.graph import Graph
from headrace.features.states.vocabulary import Vocabulary, entries, fit, merge
from headrace.features.states.vocabulary import bags as text_bags


def names(column: str, state: Vocabulary) -> list[str]:
    """`COLUMN:word`, `COLUMN:two words` and `COLUMN~run`, in the order of the bags."""
    known = entries(state)
    words = [f"{column}:{text}" for text in [*known.words, *known.pairs]]
    return words + [f"{column}~{run.replace(chr(0), '·')}" for run in known.runs]


def bags(graph: Graph, text: str, state: Vocabulary) -> list[Bag]:
    """Two bags of the text `[N, 1]`."""
    return text_bags(graph, text, state)


__all__ = ["bags", "fit", "merge", "names"]
