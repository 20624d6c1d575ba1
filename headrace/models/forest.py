"""Extra trees by scikit-learn: many random trees, averaged. They err differently from boosted ones.

Geurts, Ernst and Wehenkel (2006), "Extremely randomized trees". A leaf holds the mean of its rows
together with one more row, which is like all rows: so no share is 0 or 1.
"""

import os
from typing import Any

import numpy as np
from msgspec import Struct, structs

from headrace import openmp
from headrace.arrays import Floats
from headrace.clock import SYSTEM
from headrace.features import Graph, ModelInputs, Representation, Target
from headrace.models.fitted import Fitted, Matrix, Sample, ValidationSet
from headrace.models.gbdt import compute_centres, fill_missing
from headrace.models.tree_ensemble import Tree, join_trees
from headrace.spec import ForestParams, Task
from headrace.tasks import find_task

REPRESENTATION: Representation = "tree"
_PIECE = 10
"""Trees that are grown at once where a deadline may end the fit."""
_LARGEST = float(np.finfo(np.float32).max)


class Forest(Struct, frozen=True):
    """scikit-learn's forest, and the values of the leaves of each tree `(leaves, outputs)`.

    `centres (F,)` are the means of the columns that were never missing in training, NaN for the
    others; a missing value in such a column is taken for its mean.
    """

    estimator: Any
    leaves: list[Floats]
    centres: Floats
    task: Task


def fit(
    sample: Sample, target: Target, params: ForestParams, seed: int, watched: ValidationSet | None
) -> Fitted:
    """Grow `params.trees` trees, or as many as the deadline allows; the params name how many."""
    ensemble = openmp.load("sklearn.ensemble")
    centres = compute_centres(sample.X)
    X = _prepare(sample.X, centres)
    has_classes = target.kind.HAS_CLASSES
    kind = ensemble.ExtraTreesClassifier if has_classes else ensemble.ExtraTreesRegressor
    estimator = kind(
        n_estimators=0,
        max_leaf_nodes=params.leaves,
        min_samples_leaf=params.min_rows_per_leaf,
        max_features=params.column_fraction or ("sqrt" if has_classes else 1.0),
        n_jobs=os.cpu_count() or 1,
        random_state=seed,
        warm_start=True,
    )
    deadline = watched.deadline if watched else float("inf")
    piece = params.trees if deadline == float("inf") else _PIECE
    grown = 0
    while grown < params.trees and (not grown or SYSTEM.monotonic_s() < deadline):
        grown = min(grown + piece, params.trees)
        estimator.set_params(n_estimators=grown).fit(X, sample.y, sample.weight)

    mean = np.atleast_1d(_mean_outputs(sample, target))
    leaves = [_smooth(one.tree_, estimator, mean) for one in estimator.estimators_]
    params = structs.replace(params, trees=grown)
    return Fitted("forest", params, Forest(estimator, leaves, centres, target.task))


def _prepare(X: Matrix, centres: Floats) -> Matrix:
    """Return the matrix as scikit-learn reads it: without infinities."""
    return np.clip(fill_missing(X, centres), -_LARGEST, _LARGEST)


def _mean_outputs(sample: Sample, target: Target) -> Floats:
    """Return the mean outcome `(1,)`, or the share of each class `(K,)`."""
    y = target.kind.target_outputs(sample.y, len(target.classes))
    return np.asarray(np.average(y, axis=0, weights=sample.weight))


def _smooth(tree: Any, estimator: Any, mean: Floats) -> Floats:
    """Return the value of each node of a tree `(nodes, outputs)`, with one average row more."""
    value = tree.value[:, 0, :]
    if hasattr(estimator, "classes_"):
        spread = np.zeros((len(value), max(len(mean), 2)))
        spread[:, estimator.classes_.astype(np.int64)] = value
        # In a binary task the share of the event is enough.
        value = spread if len(mean) > 1 else spread[:, 1:]
    rows = tree.weighted_n_node_samples[:, None]
    return np.asarray((value * rows + mean) / (rows + 1))


def predict(fitted: Fitted, X: Matrix) -> Floats:
    """Average the leaves that scikit-learn's own trees lead to."""
    forest: Forest = fitted.state
    reached = forest.estimator.apply(_prepare(X, forest.centres))
    total = sum(values[reached[:, at]] for at, values in enumerate(forest.leaves))
    mean = np.asarray(total) / len(forest.leaves)
    return find_task(forest.task).to_raw(mean[:, 0] if mean.shape[1] == 1 else mean)


def uses(fitted: Fitted) -> Floats:
    """Return what the splits by each column gained `(F,)`."""
    return np.asarray(fitted.state.estimator.feature_importances_, np.float64)


def nodes(graph: Graph, inputs: ModelInputs, fitted: Fitted) -> str:
    """Add one `TreeEnsemble` over the matrix as float64, with each tree once for every class."""
    forest: Forest = fitted.state
    outputs = forest.leaves[0].shape[1]
    trees = [
        _read_tree(one.tree_, values[:, target] / len(forest.leaves), target, forest.centres)
        for one, values in zip(forest.estimator.estimators_, forest.leaves, strict=True)
        for target in range(outputs)
    ]
    scores = graph.node(
        "TreeEnsemble",
        # Type 11 is float64: no threshold is rounded.
        graph.node("Cast", inputs.matrix, to=11),
        domain="ai.onnx.ml",
        n_targets=outputs,
        aggregate_function=1,
        post_transform=0,
        **join_trees(trees),
    )
    return find_task(forest.task).unlink(graph, scores)


def _read_tree(tree: Any, values: Floats, target: int, centres: Floats) -> Tree:
    """Read a tree of scikit-learn, whose nodes and leaves share their numbers."""
    is_leaf = tree.children_left < 0
    # A tree of one leaf has no node, but the operator needs one: its question has one answer.
    if is_leaf[0]:
        nothing = np.zeros(1, np.int64)
        leaf = np.array([-1])
        return Tree(nothing, np.zeros(1), nothing, leaf, leaf, values[:1], target)
    number = np.where(is_leaf, ~(np.cumsum(is_leaf) - 1), np.cumsum(~is_leaf) - 1)
    inner = np.flatnonzero(~is_leaf)
    features, splits = tree.feature[inner], tree.threshold[inner]
    # Where no training row lacked a value, a missing one goes where the column's mean goes.
    known = ~np.isnan(centres[features])
    missing_left = np.where(
        known, np.nan_to_num(centres[features]) <= splits, tree.missing_go_to_left[inner]
    )
    return Tree(
        features=features,
        splits=splits,
        missing_left=missing_left,
        left=number[tree.children_left[inner]],
        right=number[tree.children_right[inner]],
        weights=values[is_leaf],
        target=target,
    )
