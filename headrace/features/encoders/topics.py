"""A text as a few topics, the truncated singular vectors of its tf-idf matrix, which suits trees.

    tf-idf (texts, entries)  =~  U (texts, K) * S (K, K) * V^T (K, entries)

    topics of a text = its tf-idf row * V          V is the matrix of the state

Deerwester et al. (1990), "Indexing by latent semantic analysis".
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from headrace.features.graph.bag import multiply_bag
from headrace.features.graph.csr import describe_bags, list_bag_outputs
from headrace.features.graph.graph import Graph
from headrace.features.graph.session import open_session
from headrace.features.states import vocabulary
from headrace.features.states.vocabulary import Vocabulary

MOST_TOPICS = 64
_FIT_ROWS = 50_000


class Topics(Struct, frozen=True):
    """The vocabulary, and a matrix `(entries, topics)` as little-endian float32 bytes."""

    vocabulary: Vocabulary
    topics: int
    data: bytes

    @property
    def matrix(self) -> npt.NDArray[np.float32]:
        """The topic weights `(entries, topics)` of every entry."""
        if not self.topics:
            return np.empty((0, 0), "f4")
        return np.frombuffer(self.data, "<f4").reshape(-1, self.topics)


def fit(column: pl.Series) -> Topics:
    """Find the topics of a text column, 64 at most, from 50,000 of its rows at most.

    Few rows or few entries give fewer topics.
    """
    from scipy.sparse.linalg import svds

    state = vocabulary.fit(column)
    step = -(-len(column) // _FIT_ROWS)
    matrix = _weigh_texts(column.gather_every(max(step, 1)), state)
    topics = min(MOST_TOPICS, matrix.shape[1] - 1, matrix.shape[0] - 1)
    if topics < 1:
        return Topics(state, 0, b"")

    # Without a start of our own, svds draws one at random.
    start = np.ones(min(matrix.shape))
    _, _, vectors = svds(matrix.astype(np.float64), topics, v0=start)
    # svds lists the least important vector first.
    return Topics(state, topics, np.ascontiguousarray(vectors[::-1].T, "<f4").tobytes())


def _weigh_texts(column: pl.Series, state: Vocabulary) -> Any:
    """Compute the tf-idf weights of a text column as a CSR matrix `(N, entries)`.

    The graph of a model computes them, so that training and service agree.
    """
    graph = Graph()
    text = graph.input("strings", str, 1)
    bags = vocabulary.bags(graph, text, state)

    # `Session.rows` wants a matrix before the bags: this one has no columns.
    rows = graph.node("Shape", text, start=0, end=1)
    shape = graph.node("Concat", rows, graph.constant([0], np.int64), axis=0)
    nothing = graph.node("Expand", graph.constant(np.empty((1, 0)), np.float32), shape)

    outputs = {nothing: ("features", np.float32, 0)} | list_bag_outputs(bags)
    metadata = {
        "columns": {"strings": [column.name]},
        "bags": describe_bags(bags),
        "numbers_per_entry": graph.numbers_per_entry,
    }
    model = graph.build(outputs, metadata)
    return open_session(model.SerializeToString()).rows(column.to_frame())


def names(column: str, state: Topics) -> list[str]:
    """`COLUMN_topic1` and so on."""
    return [f"{column}_topic{number}" for number in range(1, state.topics + 1)]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Topics], width: int) -> str:
    """Add the topics of each of `columns` of the text `[N, width]`."""
    blocks = []
    for column, state in zip(columns, states, strict=True):
        text = graph.select_columns(source, [column], width)
        # Each bag has its own rows of the matrix, the first bag the first rows.
        start = 0
        products = []
        for bag in vocabulary.bags(graph, text, state.vocabulary):
            products.append(multiply_bag(graph, bag, state.matrix[start : start + bag.width]))
            start += bag.width
        blocks.append(products[0] if len(products) == 1 else graph.node("Sum", *products))
    joined = blocks[0] if len(blocks) == 1 else graph.node("Concat", *blocks, axis=1)
    return graph.node("Cast", joined, to=1)
