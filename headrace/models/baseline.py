"""The model that looks at nothing: the share of each class, or the mean.

Whoever cannot beat it has learned nothing.
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
    """Takes the mean of the target, or the logarithm of each class's share."""
    if not target.kind.HAS_CLASSES:
        return Fitted("baseline", None, np.array([np.average(sample.y, weights=sample.weight)]))
    shares = np.bincount(
        sample.y.astype(np.int64), weights=sample.weight, minlength=len(target.classes)
    )
    logs = np.log(np.maximum(shares / shares.sum(), _LEAST_SHARE))
    return Fitted("baseline", None, logs if target.kind.SCORE_EACH_CLASS else logs[1:] - logs[:1])


def predict(fitted: Fitted, X: Matrix) -> Floats:
    """The constant for every row."""
    constant: Floats = fitted.state
    return (
        np.full(X.shape[0], constant[0])
        if len(constant) == 1
        else np.tile(constant, (X.shape[0], 1))
    )


def uses(fitted: Fitted) -> Floats:
    """Nothing."""
    return np.empty(0)


def nodes(graph: Graph, inputs: ModelInputs, fitted: Fitted) -> str:
    """The constant, repeated for as many rows as there are."""
    rows = graph.node("Shape", inputs.matrix, start=0, end=1)
    shape = graph.node("Concat", rows, graph.constant([1], np.int64), axis=0)
    return graph.node("Expand", graph.constant([fitted.state], np.float64), shape)
