"""What the tasks with classes share."""

from typing import Any

import numpy as np

from headrace.arrays import Floats

EDGE = 1e-12
"""How far probabilities keep off 0 and 1, so that their logarithms are finite."""


def clip_inside(scores: Floats) -> Floats:
    """Probabilities in float64, kept off 0 and 1."""
    return np.clip(scores.astype(np.float64), EDGE, 1 - EDGE)


def label_constant(graph: Any, classes: list[Any]) -> tuple[str, Any]:
    """Adds the labels to a graph: their tensor, and their type there (text, flags or int64)."""
    texts = isinstance(classes[0], str)
    dtype = str if texts else np.bool_ if isinstance(classes[0], bool) else np.int64
    return graph.constant(classes, object if texts else dtype), dtype
