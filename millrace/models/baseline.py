"""The model that looks at nothing: the share of each class, or the mean. Whoever cannot beat it has learned nothing."""

from typing import Any

import numpy as np

from millrace.features import Graph, Representation, Target
from millrace.models.fitted import Fitted, Matrix, Vector

REPRESENTATION: Representation = "tree"


def fit(X: Matrix, y: Vector, target: Target, params: Any, seed: int, watch: tuple[Matrix, Vector] | None) -> Fitted:
    """Takes the mean of the target, or the share of each class."""
    if target.task == "multiclass":
        constant = np.bincount(y.astype(np.int64), minlength=len(target.classes)) / len(y)
    else:
        constant = np.array([y.mean()])
    return Fitted("baseline", None, (constant, target.task))


def predict(fitted: Fitted, X: Matrix) -> Vector:
    """The constant for every row."""
    constant: Vector = fitted.state[0]
    return np.full(len(X), constant[0]) if len(constant) == 1 else np.tile(constant, (len(X), 1))


def nodes(graph: Graph, matrix: str, fitted: Fitted) -> str:
    """The constant, repeated for as many rows as there are."""
    rows = graph.node("Shape", matrix, start=0, end=1)
    shape = graph.node("Concat", rows, graph.constant([1], np.int64), axis=0)
    constant, task = fitted.state
    return graph.node("Expand", graph.constant([constant], np.float64 if task == "regression" else np.float32), shape)
