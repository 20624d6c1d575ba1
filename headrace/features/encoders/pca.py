"""A vector as its principal components: the directions in which training rows differ most.

The state holds the sums of the products of each two dimensions, so that the states of partitions
merge exactly:

    covariance[i, j] = sum of x_i * x_j / rows - mean_i * mean_j
"""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats
from headrace.features.graph.graph import Graph
from headrace.features.states.vector import fill_missing, width_of

MOST_COMPONENTS = 32


class Products(Struct, frozen=True):
    """The number of rows with a vector, and their sums.

    `sums (D,)` are those of each dimension, `products (D, D)` those of the products of each two.
    """

    rows: int
    sums: list[float]
    products: list[list[float]]

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return len(self.sums)


def fit(column: pl.Series) -> Products:
    """Sum the vectors of a column of `Array`."""
    values = column.drop_nulls().to_numpy().astype(np.float64).reshape(-1, width_of(column))
    return Products(len(values), values.sum(axis=0).tolist(), (values.T @ values).tolist())


def merge(a: Products, b: Products) -> Products:
    """Merge the states of two partitions."""
    sums = np.array(a.sums) + np.array(b.sums)
    products = np.array(a.products) + np.array(b.products)
    return Products(a.rows + b.rows, sums.tolist(), products.tolist())


def components(state: Products) -> tuple[Floats, Floats]:
    """Compute the mean `(D,)` and the components `(D, K)`.

    A component and its negative are equally good: that whose largest entry is positive is chosen.
    """
    rows = max(state.rows, 1)
    mean = np.array(state.sums) / rows
    covariance = np.array(state.products) / rows - np.outer(mean, mean)
    _, vectors = np.linalg.eigh(covariance)
    best = vectors[:, ::-1][:, :MOST_COMPONENTS]
    largest = best[np.abs(best).argmax(axis=0), np.arange(best.shape[1])]
    return mean, best * np.sign(largest)


def names(column: str, state: Products) -> list[str]:
    """`COLUMN_component1` and so on."""
    count = min(MOST_COMPONENTS, len(state.sums))
    return [f"{column}_component{number}" for number in range(1, count + 1)]


def nodes(graph: Graph, source: str, state: Products) -> str:
    """Add `(x - mean) · components` of the vectors `[N, D]`; a missing vector is the mean."""
    mean, best = components(state)
    absent = graph.node("IsNaN", source)
    centred = graph.node("Sub", fill_missing(graph, source), graph.constant([mean], np.float32))
    filled = graph.node("Where", absent, graph.constant(0.0, np.float32), centred)
    return graph.node("MatMul", filled, graph.constant(best, np.float32))
