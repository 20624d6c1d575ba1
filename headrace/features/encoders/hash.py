"""A category as one of 65,536 buckets, without a dictionary: for values without end.

Linear models learn a weight for each bucket; trees get the number of one of 1,024 buckets:

    "a-7f3"  ->  MurmurHash3 of its UTF-8 bytes, 32 bits  ->  the lowest 16 bits, or the lowest 10

Weinberger et al. (2009), "Feature hashing for large scale multitask learning".
"""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.features.graph.bag import Bag
from headrace.features.graph.graph import Graph

BUCKETS = 65_536
TREE_BUCKETS = 1_024


class Hashed(Struct, frozen=True):
    """The number of rows; nothing else is learned."""

    rows: int


def fit(column: pl.Series) -> Hashed:
    """Count the rows."""
    return Hashed(len(column))


def merge(a: Hashed, b: Hashed) -> Hashed:
    """Merge the states of two partitions."""
    return Hashed(a.rows + b.rows)


def names(column: str, state: Hashed) -> list[str]:
    """`COLUMN_hash`."""
    return [f"{column}_hash"]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Hashed], width: int) -> str:
    """Add the numbers of the buckets of `columns`, for trees."""
    text = graph.select_columns(source, columns, width)
    return graph.node("Cast", _find_buckets(graph, text, TREE_BUCKETS), to=1)


def bags(graph: Graph, text: str, state: Hashed) -> list[Bag]:
    """Add a bag of the text `[N, 1]` with one entry, the bucket."""
    number = graph.node("Cast", _find_buckets(graph, text, BUCKETS), to=7)
    ids = graph.node("Add", number, graph.constant(1, np.int64))
    weights = np.concatenate([[0.0], np.ones(BUCKETS)]).astype(np.float32)
    return [Bag(ids, None, weights)]


def _find_buckets(graph: Graph, text: str, buckets: int) -> str:
    """Add the lowest bits of MurmurHash3 (seed 0) of the text; `buckets` is a power of 2."""
    hashed = graph.node("MurmurHash3", text, domain="com.microsoft", seed=0, positive=1)
    return graph.node("BitwiseAnd", hashed, graph.constant(buckets - 1, np.uint32))
