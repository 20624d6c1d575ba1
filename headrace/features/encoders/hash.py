"""A category as one of 65,536 buckets: no dictionary, for values without end (Weinberger et al.,
2009).

Linear models learn a weight for each bucket; trees see the number of one of 1,024.
"""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.features.graph.bag import Bag
from headrace.features.graph.graph import Graph

BUCKETS, TREE_BUCKETS = 65_536, 1_024


class Hashed(Struct, frozen=True):
    """Nothing is learned but how many rows there were."""

    rows: int


def fit(column: pl.Series) -> Hashed:
    """Counts the rows."""
    return Hashed(len(column))


def merge(a: Hashed, b: Hashed) -> Hashed:
    """The rows of two partitions."""
    return Hashed(a.rows + b.rows)


def names(column: str, state: Hashed) -> list[str]:
    """`COLUMN_hash`."""
    return [f"{column}_hash"]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Hashed], width: int) -> str:
    """The number of the bucket, for trees."""
    return graph.node(
        "Cast", _buckets(graph, graph.columns(source, columns, width), TREE_BUCKETS), to=1
    )


def bags(graph: Graph, text: str, state: Hashed) -> list[Bag]:
    """A bag with one entry, the bucket."""
    number = graph.node("Cast", _buckets(graph, text, BUCKETS), to=7)
    ids = graph.node("Add", number, graph.constant(1, np.int64))
    return [Bag(ids, None, np.concatenate([[0.0], np.ones(BUCKETS)]).astype(np.float32))]


def _buckets(graph: Graph, text: str, buckets: int) -> str:
    """The lowest bits of MurmurHash3 (32 bits, seed 0) of the UTF-8 bytes."""
    hashed = graph.node("MurmurHash3", text, domain="com.microsoft", seed=0, positive=1)
    return graph.node("BitwiseAnd", hashed, graph.constant(buckets - 1, np.uint32))
