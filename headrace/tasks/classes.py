"""The part that the tasks with classes share."""

from typing import Any

import numpy as np

from headrace.arrays import Floats

EDGE = 1e-12
"""The least distance of a probability from 0 and from 1, so that its logarithms are finite."""


def clip_inside(scores: Floats) -> Floats:
    """Convert probabilities to float64, and move them off 0 and 1.

    >>> clip_inside(np.array([0.0, 0.5])).tolist()
    [1e-12, 0.5]
    """
    return np.clip(scores.astype(np.float64), EDGE, 1 - EDGE)


def label_constant(graph: Any, classes: list[Any]) -> tuple[str, Any]:
    """Add the labels to a graph; return their tensor, and their type: text, flags or int64."""
    if isinstance(classes[0], str):
        return graph.constant(classes, object), str
    dtype = np.bool_ if isinstance(classes[0], bool) else np.int64
    return graph.constant(classes, dtype), dtype
