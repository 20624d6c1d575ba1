"""A text as a few topics, the truncated singular vectors of its tf-idf matrix: what trees can use.

Deerwester et al. (1990), "Indexing by latent semantic analysis".
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from headrace.features.graph.bag import Bag, multiply_bag
from headrace.features.graph.csr import bag_outputs, describe_bags
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
        """The topic weights of every entry."""
        return (
            np.frombuffer(self.data, "<f4").reshape(-1, self.topics)
            if self.topics
            else np.empty((0, 0), "f4")
        )


def fit(column: pl.Series) -> Topics:
    """Takes the topics of (at most 50,000 rows of) a text column; a small one has fewer than 64."""
    from scipy.sparse.linalg import svds

    state = vocabulary.fit(column)
    step = -(-len(column) // _FIT_ROWS)
    matrix = _rows_of(
        column.gather_every(max(step, 1)), lambda graph, text: vocabulary.bags(graph, text, state)
    )
    topics = min(MOST_TOPICS, matrix.shape[1] - 1, matrix.shape[0] - 1)
    if topics < 1:
        return Topics(state, 0, b"")
    start = np.ones(min(matrix.shape))  # stated, so that the same text gives the same topics
    _, _, vectors = svds(matrix.astype(np.float64), topics, v0=start)
    return Topics(state, topics, np.ascontiguousarray(vectors[::-1].T, "<f4").tobytes())


def _rows_of(column: pl.Series, bags: Callable[[Graph, str], list[Bag]]) -> Any:
    """The bags of one text column as a CSR matrix `(N, widths)`."""
    graph = Graph()
    text = graph.input("strings", str, 1)
    found = bags(graph, text)
    rows = graph.node("Shape", text, start=0, end=1)
    shape = graph.node("Concat", rows, graph.constant([0], np.int64), axis=0)
    nothing = graph.node("Expand", graph.constant(np.empty((1, 0)), np.float32), shape)
    outputs = {nothing: ("features", np.float32, 0)} | bag_outputs(found)
    model = graph.build(
        outputs,
        {
            "columns": {"strings": [column.name]},
            "bags": describe_bags(found),
            "numbers_per_entry": graph.numbers_per_entry,
        },
    )
    return open_session(model.SerializeToString()).rows(column.to_frame())


def names(column: str, state: Topics) -> list[str]:
    """`COLUMN_topic1` and so on."""
    return [f"{column}_topic{number}" for number in range(1, state.topics + 1)]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Topics], width: int) -> str:
    """The topics of every column side by side."""
    blocks = []
    for column, state in zip(columns, states, strict=True):
        text = graph.columns(source, [column], width)
        start, parts = 0, []
        for bag in vocabulary.bags(graph, text, state.vocabulary):
            parts.append(multiply_bag(graph, bag, state.matrix[start : start + bag.width]))
            start += bag.width
        blocks.append(parts[0] if len(parts) == 1 else graph.node("Sum", *parts))
    joined = blocks[0] if len(blocks) == 1 else graph.node("Concat", *blocks, axis=1)
    return graph.node("Cast", joined, to=1)
