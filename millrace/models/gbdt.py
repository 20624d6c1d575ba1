"""Gradient-boosted trees by LightGBM, written to ONNX from its own dump with its own double thresholds."""

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
        **_tree_attributes(trees.booster.dump_model(num_iteration=fitted.params.rounds), trees.outputs),
    )
    if trees.task == "regression":
        return graph.node("Add", raw, graph.constant(trees.offset, np.float64))
    score = graph.node("Cast", raw, to=1)
    return graph.node("Sigmoid", score) if trees.task == "binary" else graph.node("Softmax", score, axis=1)


def _as_predicted(threshold: float) -> float:
    """The threshold that gives LightGBM's answer for every float32.

    Its predictor reads numbers within 1e-35 of zero as zero, and its dump writes an infinite threshold as 1e300.
    """
    if threshold >= _INFINITE:
        return float("inf")
    if -_ZERO <= threshold < 0:
        return float(np.nextafter(np.float32(-_ZERO), np.float32(-1)))
    return _ZERO if 0 <= threshold < _ZERO else threshold


def _tree_attributes(dump: dict[str, Any], outputs: int) -> dict[str, Any]:
    """Trees as the flat arrays of the operator. Children are named by their position among the nodes or the leaves."""
    from onnx import numpy_helper

    flat: dict[str, list[Any]] = {
        name: []
        for name in (
            "roots",
            "splits",
            "features",
            "nan_true",
            "true",
            "true_leaf",
            "false",
            "false_leaf",
            "target",
            "weight",
        )
    }

    def add_leaf(value: float, target: int) -> int:
        flat["target"].append(target)
        flat["weight"].append(value)
        return len(flat["weight"]) - 1

    def add_child(node: dict[str, Any], at: int, side: str, target: int) -> None:
        is_leaf = "split_feature" not in node
        position = add_leaf(node["leaf_value"], target) if is_leaf else add_node(node, target)
        flat[side][at], flat[f"{side}_leaf"][at] = position, int(is_leaf)

    def add_node(node: dict[str, Any], target: int) -> int:
        at = len(flat["splits"])
        # Where training rows had no missing value, LightGBM reads NaN as 0.
        goes_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
        flat["splits"].append(_as_predicted(node["threshold"]))
        flat["features"].append(node["split_feature"])
        flat["nan_true"].append(int(goes_left))
        for name in ("true", "true_leaf", "false", "false_leaf"):
            flat[name].append(0)
        add_child(node["left_child"], at, "true", target)
        add_child(node["right_child"], at, "false", target)
        return at

    for number, tree in enumerate(dump["tree_info"]):
        root = tree["tree_structure"]
        if "split_feature" not in root:  # a tree of one leaf becomes a question with one answer
            leaf = {"leaf_value": root["leaf_value"]}
            root = {
                "threshold": 0.0,
                "split_feature": 0,
                "missing_type": "None",
                "left_child": leaf,
                "right_child": leaf,
            }
        flat["roots"].append(add_node(root, number % outputs))
    return {
        "tree_roots": flat["roots"],
        "nodes_splits": numpy_helper.from_array(np.array(flat["splits"], np.float64), "splits"),
        "nodes_featureids": flat["features"],
        "nodes_modes": numpy_helper.from_array(np.zeros(len(flat["splits"]), np.uint8), "modes"),
        "nodes_missing_value_tracks_true": flat["nan_true"],
        "nodes_truenodeids": flat["true"],
        "nodes_trueleafs": flat["true_leaf"],
        "nodes_falsenodeids": flat["false"],
        "nodes_falseleafs": flat["false_leaf"],
        "leaf_targetids": flat["target"],
        "leaf_weights": numpy_helper.from_array(np.array(flat["weight"], np.float64), "weights"),
    }
