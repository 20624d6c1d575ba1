"""Gradient-boosted trees by LightGBM, written to ONNX from its own text form with its own double thresholds."""

import os
from typing import Any

import numpy as np
from msgspec import Struct, structs

from millrace.features import Graph, Representation, Target
from millrace.models.fitted import Fitted, Matrix, Vector
from millrace.spec import Task
from millrace.spec.system import GbdtParams

_ZERO = float(np.float32(1e-35))
_INFINITE = 1e300
_NAN_IS_MISSING = 2
REPRESENTATION: Representation = "tree"
_OBJECTIVES: dict[Task, str] = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}


class Trees(Struct, frozen=True):
    """LightGBM's booster with the task that its scores belong to.

    `offset` is the mean of a regression target: LightGBM keeps targets as float32, so it is given differences.
    """

    booster: Any
    task: Task
    outputs: int
    offset: float


def fit(
    X: Matrix, y: Vector, target: Target, params: GbdtParams, seed: int, watch: tuple[Matrix, Vector] | None
) -> Fitted:
    """Fits `params.rounds` rounds, or as many as are best on the rows of `watch`; the result's params name them."""
    import lightgbm

    classes = len(target.classes) if target.task == "multiclass" else 1
    settings = {
        "objective": _OBJECTIVES[target.task],
        "num_class": classes,
        "learning_rate": params.learning_rate,
        "num_leaves": params.leaves,
        "min_data_in_leaf": params.min_rows_per_leaf,
        "lambda_l2": params.l2,
        "feature_fraction": params.column_fraction,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": os.cpu_count() or 1,
        "verbosity": -1,
    }
    offset = float(y.mean()) if target.task == "regression" else 0.0
    data = lightgbm.Dataset(X, y - offset, params=settings, free_raw_data=True)
    rounds = params.rounds
    if rounds is None and watch is not None:
        stop = lightgbm.early_stopping(params.early_stopping, verbose=False)
        watched = lightgbm.Dataset(watch[0], watch[1] - offset, reference=data)
        booster = lightgbm.train(settings, data, params.max_rounds, valid_sets=[watched], callbacks=[stop])
        rounds = max(booster.best_iteration, 1)
    else:
        rounds = rounds or params.max_rounds
        booster = lightgbm.train(settings, data, rounds)
    return Fitted("gbdt", structs.replace(params, rounds=rounds), Trees(booster, target.task, classes, offset))


def predict(fitted: Fitted, X: Matrix) -> Vector:
    """LightGBM's own prediction."""
    trees: Trees = fitted.state
    raw = trees.booster.predict(X, num_iteration=fitted.params.rounds)
    return np.asarray(raw, dtype=np.float64) + trees.offset


def nodes(graph: Graph, matrix: str, fitted: Fitted) -> str:
    """One `TreeEnsemble` over the matrix as float64: bit for bit LightGBM's raw score."""
    trees: Trees = fitted.state
    raw = graph.node(
        "TreeEnsemble",
        graph.node("Cast", matrix, to=11),
        domain="ai.onnx.ml",
        n_targets=trees.outputs,
        aggregate_function=1,
        post_transform=0,
        **_tree_attributes(trees.booster.model_to_string(num_iteration=fitted.params.rounds), trees.outputs),
    )
    if trees.task == "regression":
        return graph.node("Add", raw, graph.constant(trees.offset, np.float64))
    score = graph.node("Cast", raw, to=1)
    return graph.node("Sigmoid", score) if trees.task == "binary" else graph.node("Softmax", score, axis=1)


def _as_predicted(thresholds: Vector) -> Vector:
    """The thresholds that give LightGBM's answer for every float32.

    Its predictor reads numbers within 1e-35 of zero as zero, and its dump writes an infinite threshold as 1e300.
    """
    below_zero = float(np.nextafter(np.float32(-_ZERO), np.float32(-1)))
    found = np.where(thresholds >= _INFINITE, np.inf, thresholds)
    found = np.where((found >= -_ZERO) & (found < 0), below_zero, found)
    return np.where((found >= 0) & (found < _ZERO), _ZERO, found)


def _tree_attributes(text: str, outputs: int) -> dict[str, Any]:
    """LightGBM's own text form as the flat arrays of the operator.

    There a child that is not negative is a node of its tree, and `-1 - child` a leaf; bit 1 of `decision_type` says
    that missing goes left, bits 2 and 3 whether NaN means missing (2) or is read as 0 (0).
    """
    from onnx import numpy_helper

    flat: dict[str, list[Any]] = {
        name: []
        for name in ("splits", "features", "nan_true", "true", "true_leaf", "false", "false_leaf", "target", "weight")
    }
    roots, nodes_before, leaves_before = [], 0, 0
    for number, block in enumerate(text.split("\nTree=")[1:]):
        lines = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        weights = np.array(lines["leaf_value"].split(), np.float64)
        if len(weights) == 1:  # a tree of one leaf becomes a question with one answer
            lines |= {
                "split_feature": "0",
                "threshold": "0",
                "decision_type": "0",
                "left_child": "-1",
                "right_child": "-1",
            }
        thresholds = np.array(lines["threshold"].split(), np.float64)
        decision = np.array(lines["decision_type"].split(), np.int64)
        goes_left = np.where((decision >> 2) & 3 == _NAN_IS_MISSING, (decision >> 1) & 1, thresholds >= 0)
        roots.append(nodes_before)
        flat["splits"].append(_as_predicted(thresholds))
        flat["features"].append(np.array(lines["split_feature"].split(), np.int64))
        flat["nan_true"].append(goes_left)
        for side, name in (("true", "left_child"), ("false", "right_child")):
            child = np.array(lines[name].split(), np.int64)
            flat[side].append(np.where(child >= 0, child + nodes_before, -1 - child + leaves_before))
            flat[f"{side}_leaf"].append(child < 0)
        flat["target"].append(np.full(len(weights), number % outputs))
        flat["weight"].append(weights)
        nodes_before, leaves_before = nodes_before + len(thresholds), leaves_before + len(weights)
    whole = {name: np.concatenate(parts) for name, parts in flat.items()}
    listed = {
        name: values.astype(np.int64).tolist() for name, values in whole.items() if name not in ("splits", "weight")
    }
    return {
        "tree_roots": roots,
        "nodes_splits": numpy_helper.from_array(whole["splits"], "splits"),
        "nodes_featureids": listed["features"],
        "nodes_modes": numpy_helper.from_array(np.zeros(nodes_before, np.uint8), "modes"),
        "nodes_missing_value_tracks_true": listed["nan_true"],
        "nodes_truenodeids": listed["true"],
        "nodes_trueleafs": listed["true_leaf"],
        "nodes_falsenodeids": listed["false"],
        "nodes_falseleafs": listed["false_leaf"],
        "leaf_targetids": listed["target"],
        "leaf_weights": numpy_helper.from_array(whole["weight"], "weights"),
    }
