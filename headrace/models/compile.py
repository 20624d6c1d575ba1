"""The whole graph: raw columns, features, models, and the prediction in the one shape that it has everywhere."""

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
    bag_outputs,
    describe_bags,
    merge_groups,
)
from headrace.models import calibrate
from headrace.models.families import FAMILIES
from headrace.models.fitted import Fitted
from headrace.spec import Calibration


class FittedMember(Struct, frozen=True):
    """One model of an average with its encoders and its share."""

    features: Features
    fitted: Fitted
    weight: float = 1.0


def compile_features(features: Features) -> bytes:
    """The feature part alone: the matrix as output `features` `[N, F]`, and the entries of bags as
    `ids_0` and so on.
    """
    graph = Graph()
    inputs = add_features(graph, features)
    outputs: dict[str, tuple[str, Any, int | None]] = {
        inputs.matrix: ("features", np.float32, inputs.width)
    }
    metadata = {
        "columns": features.groups,
        "bags": describe_bags(inputs.bags),
        "numbers_per_entry": graph.numbers_per_entry,
    }
    data: bytes = graph.build(outputs | bag_outputs(inputs.bags), metadata).SerializeToString(
        deterministic=True
    )
    return data


def compile_model(
    parts: list[FittedMember],
    target: Target,
    calibration: Calibration | None = None,
    threshold: float | None = None,
) -> bytes:
    """Features and models in one graph, with these outputs.

    `prediction` `[N, 1]`: the probability of the positive class, the value (float64: a large target
    keeps its digits), or the label (text, or int64 where the target was whole numbers). Multiclass:
    `probabilities` `[N, K]`. With a `threshold`: `decision` `[N, 1]`, a label. `features` `[N, F]`:
    the matrix that the first model sees. Several models are averaged by their weights,
    probabilities or values; then they are calibrated.
    """
    graph = Graph()
    sets = [part.features for part in parts]
    sources = add_sources(graph, sets)
    inputs = [add_encoders(graph, features, sources) for features in sets]
    raws = []
    for part, seen in zip(parts, inputs, strict=True):
        raw = FAMILIES[part.fitted.family].nodes(graph, seen, part.fitted)
        shift = part.fitted.shift
        raws.append(
            graph.node("Add", raw, graph.constant([shift], np.float64)) if any(shift) else raw
        )
    scores = _scores(graph, raws, [part.weight for part in parts], target, calibration)
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


def _scores(
    graph: Graph,
    raws: list[str],
    weights: list[float],
    target: Target,
    calibration: Calibration | None,
) -> str:
    """One tensor of probabilities (float32) or values (float64) from the raw scores of all models."""
    kind = target.kind
    if not kind.HAS_CLASSES:
        return _average(graph, raws, weights)
    raw, found = raws[0], None
    if len(raws) > 1:
        found = _average(graph, [kind.link(graph, raw) for raw in raws], weights)
        raw = kind.unlink(graph, found) if calibration is not None else raw
    if calibration is not None:
        raw = calibrate.nodes(graph, raw, calibration)
        found = raw if calibration.method == "isotonic" else kind.link(graph, raw)
    return graph.node("Cast", found if found is not None else kind.link(graph, raw), to=1)


def _average(graph: Graph, scores: list[str], weights: list[float]) -> str:
    if len(scores) == 1:
        return scores[0]
    shares = np.array(weights) / sum(weights)
    weighed = [
        graph.node("Mul", one, graph.constant(share))
        for one, share in zip(scores, shares, strict=True)
    ]
    return graph.node("Sum", *weighed)
