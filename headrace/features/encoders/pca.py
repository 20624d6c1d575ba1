"""A vector as its principal components: the directions in which training rows differ most.

The state keeps the sums of all products of two dimensions, so that states of partitions merge
exactly.
"""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats
from headrace.features.graph.graph import Graph
from headrace.features.states.vector import filled, width_of

MOST_COMPONENTS = 32


class Products(Struct, frozen=True):
    """Rows with a vector, the sum of each dimension, and the sums of the products of each two dimensions."""

    rows: int
    sums: list[float]
    products: list[list[float]]

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return len(self.sums)


def fit(column: pl.Series) -> Products:
    """Sums a column of arrays of one width."""
    values = column.drop_nulls().to_numpy().astype(np.float64).reshape(-1, width_of(column))
    return Products(len(values), values.sum(axis=0).tolist(), (values.T @ values).tolist())


def merge(a: Products, b: Products) -> Products:
    """The sums of two partitions together."""
    products = np.array(a.products) + np.array(b.products)
    return Products(
        a.rows + b.rows, (np.array(a.sums) + np.array(b.sums)).tolist(), products.tolist()
    )


def components(state: Products) -> tuple[Floats, Floats]:
    """The mean `(D,)` and the components `(D, K)`, each with its greatest entry positive."""
    rows = max(state.rows, 1)
    mean = np.array(state.sums) / rows
    covariance = np.array(state.products) / rows - np.outer(mean, mean)
    _, vectors = np.linalg.eigh(covariance)
    best = vectors[:, ::-1][:, :MOST_COMPONENTS]
    return mean, best * np.sign(best[np.abs(best).argmax(axis=0), np.arange(best.shape[1])])


def names(column: str, state: Products) -> list[str]:
    """`COLUMN_component1` and so on."""
    return [
        f"{column}_component{number}"
        for number in range(1, min(MOST_COMPONENTS, len(state.sums)) + 1)
    ]


def nodes(graph: Graph, source: str, state: Products) -> str:
    """`(x - mean) · components`; a missing vector is the mean."""
    mean, best = components(state)
    absent = graph.node("IsNaN", source)
    centred = graph.node("Sub", filled(graph, source), graph.constant([mean], np.float32))
    held = graph.node("Where", absent, graph.constant(0.0, np.float32), centred)
    return graph.node("MatMul", held, graph.constant(best, np.float32))
