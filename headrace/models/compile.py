"""The whole graph: raw columns, features, models, and a prediction of one shape everywhere.

raw columns -> encoders of model 1 -> model 1 -> raw scores -.
            -> encoders of model 2 -> model 2 -> raw scores --> mean -> calibration -> outputs
"""

from typing import Any

import numpy as np
from msgspec import Struct

from headrace.features import (
    Features,
    Graph,
    Target,
    add_encoders,
    add_features,
    add_sources,
    describe_bags,
    list_bag_outputs,
    merge_groups,
)
from headrace.models import calibrate
from headrace.models.families import FAMILIES
from headrace.models.fitted import Fitted
from headrace.spec import Calibration


class FittedMember(Struct, frozen=True):
    """A model of an ensemble with its encoders and its weight in the mean."""

    features: Features
    fitted: Fitted
    weight: float = 1.0


def compile_features(features: Features) -> bytes:
    """Compile the features alone; return the bytes of the ONNX graph.

    Its outputs are the matrix, `features` `[N, F]`, and the entries of bags, `ids_0` and so on.
    """
    graph = Graph()
    inputs = add_features(graph, features)
    outputs: dict[str, tuple[str, Any, int | None]] = {
        inputs.matrix: ("features", np.float32, inputs.width)
    }
    outputs |= list_bag_outputs(inputs.bags)
    metadata = {
        "columns": features.groups,
        "bags": describe_bags(inputs.bags),
        "numbers_per_entry": graph.numbers_per_entry,
    }
    data: bytes = graph.build(outputs, metadata).SerializeToString(deterministic=True)
    return data


def compile_model(
    parts: list[FittedMember],
    target: Target,
    calibration: Calibration | None = None,
    threshold: float | None = None,
) -> bytes:
    """Compile features and models into one graph; return the bytes of the ONNX graph.

    Several models are averaged by their weights, as probabilities or values. Then the mean is
    calibrated. The outputs are:

    - `prediction` `[N, 1]`: the probability of the positive class; the value, in float64, so that a
      large target keeps its digits; or the label: text, or int64 if the target is whole numbers.
    - `probabilities` `[N, K]`, in a multiclass task.
    - `decision` `[N, 1]`, a label, if there is a `threshold`.
    - `features` `[N, F]`, the matrix that the first model takes.
    """
    graph = Graph()
    sets = [part.features for part in parts]
    sources = add_sources(graph, sets)
    inputs = [add_encoders(graph, features, sources) for features in sets]

    raws = []
    for part, model_inputs in zip(parts, inputs, strict=True):
        raw = FAMILIES[part.fitted.family].nodes(graph, model_inputs, part.fitted)
        if any(part.fitted.shift):
            raw = graph.node("Add", raw, graph.constant([part.fitted.shift], np.float64))
        if part.fitted.scale != 1:
            raw = graph.node("Mul", raw, graph.constant(part.fitted.scale, np.float64))
        raws.append(raw)

    scores = _add_scores(graph, raws, [part.weight for part in parts], target, calibration)
    outputs = target.kind.outputs(graph, scores, target.classes, threshold)
    outputs[inputs[0].matrix] = ("features", np.float32, inputs[0].width)
    metadata = {
        "columns": merge_groups(sets),
        "features": sets[0].names,
        "task": target.task,
        "target": target.name,
        "classes": target.classes,
        "decision": threshold is not None,
        "numbers_per_entry": graph.numbers_per_entry,
    }
    data: bytes = graph.build(outputs, metadata).SerializeToString(deterministic=True)
    return data


def _add_scores(
    graph: Graph,
    raws: list[str],
    weights: list[float],
    target: Target,
    calibration: Calibration | None,
) -> str:
    """Add the nodes from the raw scores of all models to the scores; return their tensor.

    Probabilities are float32, values float64.
    """
    kind = target.kind
    if not kind.HAS_CLASSES:
        return _add_mean(graph, raws, weights)

    raw = raws[0]
    scores = None
    if len(raws) > 1:
        scores = _add_mean(graph, [kind.link(graph, raw) for raw in raws], weights)
        # A calibration takes raw scores, and the mean is one of probabilities.
        if calibration is not None:
            raw = kind.unlink(graph, scores)

    if calibration is not None:
        raw = calibrate.nodes(graph, raw, calibration)
        scores = raw if calibration.method == "isotonic" else kind.link(graph, raw)
    if scores is None:
        scores = kind.link(graph, raw)
    # Type 1 is float32.
    return graph.node("Cast", scores, to=1)


def _add_mean(graph: Graph, scores: list[str], weights: list[float]) -> str:
    """Add the nodes of a weighted mean; return its tensor."""
    if len(scores) == 1:
        return scores[0]
    shares = np.array(weights) / sum(weights)
    terms = []
    for tensor, share in zip(scores, shares, strict=True):
        terms.append(graph.node("Mul", tensor, graph.constant(share)))
    return graph.node("Sum", *terms)
