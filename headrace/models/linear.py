"""Linear models by scikit-learn: logistic (binary), multinomial (multiclass), ridge (regression)."""

import warnings
from typing import Any

import numpy as np

from headrace import openmp
from headrace.arrays import Floats
from headrace.clock import SYSTEM
from headrace.features import Graph, ModelInputs, Representation, Target, multiply_bag
from headrace.models.fitted import Fitted, Matrix, Sample, ValidationSet
from headrace.spec import LinearParams

REPRESENTATION: Representation = "linear"
_MOST_ITERATIONS, _FIRST_ITERATIONS = 500, 40


def fit(
    sample: Sample, target: Target, params: LinearParams, seed: int, watched: ValidationSet | None
) -> Fitted:
    """Minimises the mean loss plus `l2 / 2` times the squared weights (the intercept is free)."""
    linear_model = openmp.load("sklearn.linear_model")

    X, y, weight = sample.X, sample.y, sample.weight
    wide = X if hasattr(X, "tocsr") else X.astype(np.float64)
    rows = float(len(y) if weight is None else weight.sum())
    if not target.kind.HAS_CLASSES:
        ridge = linear_model.Ridge(alpha=params.l2 * rows).fit(wide, y, weight)
        return Fitted("linear", params, (ridge.coef_[None, :], np.atleast_1d(ridge.intercept_)))
    estimator = _logistic(
        wide, y, 1 / (params.l2 * rows), weight, watched.deadline if watched else float("inf")
    )
    return Fitted("linear", params, _all_classes(estimator, target))


def _logistic(X: Matrix, y: Floats, C: float, weight: Floats | None, deadline: float) -> Any:
    """Fits in one go, or, towards a deadline, in pieces that each start from the weights of the one before."""
    linear_model = openmp.load("sklearn.linear_model")
    from sklearn.exceptions import ConvergenceWarning

    pieces = [_MOST_ITERATIONS] if deadline == float("inf") else [_FIRST_ITERATIONS, 80, 160, 220]
    estimator = linear_model.LogisticRegression(C=C, tol=1e-4, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # the weights after the last iteration are good ones
        for iterations in pieces:
            begin = SYSTEM.monotonic_s()
            estimator.set_params(max_iter=iterations).fit(X, y, weight)
            spent = SYSTEM.monotonic_s() - begin
            if estimator.n_iter_[0] < iterations or begin + 3 * spent > deadline:
                break
    return estimator


def _all_classes(estimator: Any, target: Target) -> tuple[Floats, Floats]:
    """Weights for every class, those that no fitted row had included: they get a score that no other falls below."""
    seen = estimator.classes_.astype(np.int64)
    if not target.kind.SCORE_EACH_CLASS:
        return estimator.coef_, estimator.intercept_
    weights = np.zeros((len(target.classes), estimator.coef_.shape[1]))
    bias = np.full(len(target.classes), -100.0)
    if len(seen) == 2:  # scikit-learn keeps one row of weights for two classes
        weights[seen[1]], bias[seen[0]], bias[seen[1]] = (
            estimator.coef_[0],
            0.0,
            estimator.intercept_[0],
        )
    else:
        weights[seen], bias[seen] = estimator.coef_, estimator.intercept_
    return weights, bias


def predict(fitted: Fitted, X: Matrix) -> Floats:
    """Scores in float64."""
    weights, bias = fitted.state
    raw: Floats = np.asarray(X.astype(np.float64) @ weights.T) + bias
    return raw[:, 0] if raw.shape[1] == 1 else raw


def uses(fitted: Fitted) -> Floats:
    """The size of the weights, of columns of one scale."""
    return np.asarray(np.abs(fitted.state[0]).sum(axis=0), np.float64)


def nodes(graph: Graph, inputs: ModelInputs, fitted: Fitted) -> str:
    """One `Gemm` in float64 (an intercept of 1e8 would eat the digits of float32), and a sum of
    look-ups for each bag.
    """
    weights, bias = fitted.state
    terms = []
    if inputs.width:
        wide = graph.node("Cast", inputs.matrix, to=11)
        dense = weights[:, : inputs.width]
        terms.append(
            graph.node(
                "Gemm", wide, graph.constant(dense.T, np.float64), graph.constant(bias, np.float64)
            )
        )
    start = inputs.width
    for bag in inputs.bags:
        terms.append(multiply_bag(graph, bag, weights[:, start : start + bag.width].T))
        start += bag.width
    if not inputs.width:
        terms.append(graph.constant(bias[None, :], np.float64))
    total = terms[0]
    for term in terms[1:]:
        total = graph.node("Add", total, term)
    return total
