"""The whole graph: raw columns, features, model, and the prediction in the one shape that it has everywhere."""

from typing import Any

import numpy as np

from millrace.features import Features, Graph, Target, add_features
from millrace.models.families import FAMILIES
from millrace.models.fitted import Fitted


def compile_features(features: Features) -> bytes:
    """The feature part alone; its output `features` `[N, F]` is the training matrix."""
    graph = Graph()
    matrix = add_features(graph, features)
    outputs = {matrix: ("features", np.float32, len(features.names))}
    data: bytes = graph.build(outputs, {"columns": features.groups}).SerializeToString(deterministic=True)
    return data


def compile_model(features: Features, fitted: Fitted, target: Target) -> bytes:
    """Features and model in one graph with outputs `prediction`, for multiclass `probabilities`, and `features`.

    `prediction` `[N, 1]` is the probability of the positive class, the value (float64: a large target keeps its
    digits), or the label (text, or int64 where the target was whole numbers).
    """
    graph = Graph()
    matrix = add_features(graph, features)
    scores = FAMILIES[fitted.family].nodes(graph, matrix, fitted)
    if target.task == "multiclass":
        texts = isinstance(target.classes[0], str)
        labels = graph.constant(target.classes, object if texts else np.int64)
        best = graph.node("ArgMax", scores, axis=1, keepdims=1)
        label = graph.node("Gather", labels, best)
        outputs: dict[str, tuple[str, Any, int]] = {
            label: ("prediction", str if texts else np.int64, 1),
            scores: ("probabilities", np.float32, len(target.classes)),
        }
    else:
        outputs = {scores: ("prediction", np.float64 if target.task == "regression" else np.float32, 1)}
    outputs[matrix] = ("features", np.float32, len(features.names))
    metadata = {
        "columns": features.groups,
        "features": features.names,
        "task": target.task,
        "target": target.name,
        "classes": target.classes,
    }
    data: bytes = graph.build(outputs, metadata).SerializeToString(deterministic=True)
    return data
