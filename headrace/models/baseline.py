"""The model that looks at no column: it predicts the share of each class, or the mean.

A model that is no better has learned nothing.
"""

from typing import Any

import numpy as np

from headrace.arrays import Floats
from headrace.features import Graph, ModelInputs, Representation, Target
from headrace.models.fitted import Fitted, Matrix, Sample, ValidationSet

REPRESENTATION: Representation = "tree"
_LEAST_SHARE = 1e-12


def fit(
    sample: Sample, target: Target, params: Any, seed: int, watched: ValidationSet | None
) -> Fitted:
    """Take the mean of the target, or the logarithm of each class's share."""
    if not target.kind.HAS_CLASSES:
        return Fitted("baseline", None, np.array([np.average(sample.y, weights=sample.weight)]))

    counts = np.bincount(
        sample.y.astype(np.int64), weights=sample.weight, minlength=len(target.classes)
    )
    logs = np.log(np.maximum(counts / counts.sum(), _LEAST_SHARE))
    if target.kind.SCORE_EACH_CLASS:
        return Fitted("baseline", None, logs)
    return Fitted("baseline", None, logs[1:] - logs[:1])


def predict(fitted: Fitted, X: Matrix) -> Floats:
    """Repeat the constant for every row."""
    constant: Floats = fitted.state
    if len(constant) == 1:
        return np.full(X.shape[0], constant[0])
    return np.tile(constant, (X.shape[0], 1))


def uses(fitted: Fitted) -> Floats:
    """Return an empty array: no column counts."""
    return np.empty(0)


def nodes(graph: Graph, inputs: ModelInputs, fitted: Fitted) -> str:
    """Add nodes that repeat the constant for as many rows as there are."""
    rows = graph.node("Shape", inputs.matrix, start=0, end=1)
    shape = graph.node("Concat", rows, graph.constant([1], np.int64), axis=0)
    return graph.node("Expand", graph.constant([fitted.state], np.float64), shape)
