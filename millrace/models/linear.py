"""Linear models by scikit-learn: logistic (binary), multinomial (multiclass), ridge (regression)."""

import warnings
from typing import Any

import numpy as np

from millrace.features import Graph, Representation, Target
from millrace.models.fitted import Fitted, Matrix, Vector
from millrace.spec.system import LinearParams

REPRESENTATION: Representation = "linear"
_MOST_ITERATIONS = 500


def fit(
    X: Matrix, y: Vector, target: Target, params: LinearParams, seed: int, watch: tuple[Matrix, Vector] | None
) -> Fitted:
    """Minimises the mean loss plus `l2 / 2` times the squared weights (the intercept is free)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    wide = X.astype(np.float64)
    estimator: Any
    if target.task == "regression":
        estimator = Ridge(alpha=params.l2 * len(y))
        estimator.fit(wide, y)
        return Fitted("linear", params, (estimator.coef_[None, :], np.atleast_1d(estimator.intercept_), target.task))
    estimator = LogisticRegression(C=1 / (params.l2 * len(y)), max_iter=_MOST_ITERATIONS, tol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the weights after the last iteration are good ones
        estimator.fit(wide, y)
    weights, bias = _all_classes(estimator, target)
    return Fitted("linear", params, (weights, bias, target.task))


def _all_classes(estimator: Any, target: Target) -> tuple[Vector, Vector]:
    """Weights for every class, those that no fitted row had included: they get a score that no other falls below."""
    seen = estimator.classes_.astype(np.int64)
    if target.task == "binary":
        return estimator.coef_, estimator.intercept_
    weights = np.zeros((len(target.classes), estimator.coef_.shape[1]))
    bias = np.full(len(target.classes), -100.0)
    if len(seen) == 2:  # scikit-learn keeps one row of weights for two classes
        weights[seen[1]], bias[seen[0]], bias[seen[1]] = estimator.coef_[0], 0.0, estimator.intercept_[0]
    else:
        weights[seen], bias[seen] = estimator.coef_, estimator.intercept_
    return weights, bias


def predict(fitted: Fitted, X: Matrix) -> Vector:
    """Scores in float64."""
    from scipy.special import expit, softmax

    weights, bias, task = fitted.state
    raw: Vector = X.astype(np.float64) @ weights.T + bias
    if task == "regression":
        return raw[:, 0]
    return np.asarray(expit(raw[:, 0]) if task == "binary" else softmax(raw, axis=1))


def nodes(graph: Graph, matrix: str, fitted: Fitted) -> str:
    """One `Gemm` in float64 (an intercept of 1e8 would eat the digits of float32)."""
    weights, bias, task = fitted.state
    wide = graph.node("Cast", matrix, to=11)
    raw = graph.node("Gemm", wide, graph.constant(weights.T, np.float64), graph.constant(bias, np.float64))
    if task == "regression":
        return raw
    raw = graph.node("Cast", raw, to=1)
    return graph.node("Sigmoid", raw) if task == "binary" else graph.node("Softmax", raw, axis=1)
