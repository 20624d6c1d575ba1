"""A text as its words, pairs of words and runs of characters, weighted by how rare they are.

This suits linear models.
"""

from headrace.features.graph.bag import Bag
from headrace.features.graph.graph import Graph
from headrace.features.states.vocabulary import Vocabulary, entries, fit, merge
from headrace.features.states.vocabulary import bags as text_bags


def names(column: str, state: Vocabulary) -> list[str]:
    """`COLUMN:word`, `COLUMN:two words` and `COLUMN~run`, in the order of the bags.

    >>> import polars as pl
    >>> names("note", fit(pl.Series(["a b", "a b"])))[:5]
    ['note:a', 'note:b', 'note:a b', 'note~·a', 'note~·a·']
    """
    known = entries(state)
    words = [f"{column}:{text}" for text in [*known.words, *known.pairs]]
    # The border of a word is the sign 0, which nobody could read.
    return words + [f"{column}~{run.replace(chr(0), '·')}" for run in known.runs]


def bags(graph: Graph, text: str, state: Vocabulary) -> list[Bag]:
    """Add two bags of the text `[N, 1]`, of words and of runs of characters."""
    return text_bags(graph, text, state)


__all__ = ["bags", "fit", "merge", "names"]
