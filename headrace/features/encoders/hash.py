"""A category as one of many buckets, without a dictionary: for values without end.

Linear models learn a weight for each of 65,536 buckets; trees get the number of one of 1,024. The
spec may state another number of `bits`, for both:

    "a-7f3"  ->  MurmurHash3 of its UTF-8 bytes, 32 bits  ->  the lowest 16 bits, or the lowest 10

Weinberger et al. (2009), "Feature hashing for large scale multitask learning".
"""

from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.features.graph.bag import Bag
from headrace.features.graph.graph import Graph

BITS = 16
TREE_BITS = 10


class Hashed(Struct, frozen=True):
    """The number of rows, and the stated bits; nothing else is learned."""

    rows: int
    bits: int | None = None


def fit(column: pl.Series, bits: int | None = None) -> Hashed:
    """Count the rows."""
    return Hashed(len(column), bits)


def merge(a: Hashed, b: Hashed) -> Hashed:
    """Merge the states of two partitions."""
    return Hashed(a.rows + b.rows, a.bits)


def names(column: str, state: Hashed) -> list[str]:
    """`COLUMN_hash`."""
    return [f"{column}_hash"]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Hashed], width: int) -> str:
    """Add the numbers of the buckets of `columns`, for trees."""
    text = graph.select_columns(source, columns, width)
    masks = [2 ** (state.bits or TREE_BITS) - 1 for state in states]
    # Columns with one number of bits share it.
    mask: Any = masks[0] if len(set(masks)) == 1 else [masks]
    return graph.node("Cast", _find_buckets(graph, text, mask), to=1)


def bags(graph: Graph, text: str, state: Hashed) -> list[Bag]:
    """Add a bag of the text `[N, 1]` with one entry, the bucket."""
    buckets = 2 ** (state.bits or BITS)
    number = graph.node("Cast", _find_buckets(graph, text, buckets - 1), to=7)
    ids = graph.node("Add", number, graph.constant(1, np.int64))
    weights = np.concatenate([[0.0], np.ones(buckets)]).astype(np.float32)
    return [Bag(ids, None, weights)]


def _find_buckets(graph: Graph, text: str, mask: Any) -> str:
    """Add the bits of MurmurHash3 (seed 0) of the text that a mask, or one a column, has."""
    hashed = graph.node("MurmurHash3", text, domain="com.microsoft", seed=0, positive=1)
    return graph.node("BitwiseAnd", hashed, graph.constant(mask, np.uint32))
