"""Linear models: logistic, multinomial (multiclass), ridge (regression), pairs (ranking)."""

import warnings
from typing import Any

import numpy as np

from headrace import openmp
from headrace.arrays import Floats
from headrace.clock import SYSTEM
from headrace.features import Graph, ModelInputs, Representation, Target, multiply_bag
from headrace.models.fitted import Fitted, Matrix, Sample, ValidationSet
from headrace.models.pairs import draw_pairs, fit_pairs
from headrace.spec import LinearParams

REPRESENTATION: Representation = "linear"
_ITERATIONS = [500]
_ITERATIONS_TO_DEADLINE = [10, 30, 80, 160, 220]
"""The most iterations of each piece of a fit; the pieces add up to as many."""
_ABSENT_BIAS = -100.0
"""The raw score of a class that no fitted row had."""


def fit(
    sample: Sample, target: Target, params: LinearParams, seed: int, watched: ValidationSet | None
) -> Fitted:
    """Minimise the mean loss plus `l2 / 2` times the sum of the squared weights.

    The intercept is free. A ranking has no intercept, and its loss is that of pairs.
    """
    linear_model = openmp.load("sklearn.linear_model")

    X = sample.X
    y = sample.y
    weight = sample.weight
    if not hasattr(X, "tocsr"):
        X = X.astype(np.float64)
    # scikit-learn minimises the sum of losses, so the penalty is multiplied by the rows too.
    rows = float(len(y) if weight is None else weight.sum())
    penalty = params.l2 * rows
    if sample.queries is not None and params.objective != "pointwise":
        pairs = draw_pairs(y, sample.queries, weight, seed)
        deadline = watched.deadline if watched else float("inf")
        weights = fit_pairs(X, pairs, params.l2, deadline)
        return Fitted("linear", params, (weights[None, :], np.zeros(1)))
    if not target.kind.HAS_CLASSES:
        ridge = linear_model.Ridge(alpha=penalty).fit(X, y, weight)
        return Fitted("linear", params, (ridge.coef_[None, :], np.atleast_1d(ridge.intercept_)))

    deadline = watched.deadline if watched else float("inf")
    estimator = _fit_logistic(X, y, 1 / penalty, weight, deadline)
    return Fitted("linear", params, _spread_classes(estimator, target))


def _fit_logistic(X: Matrix, y: Floats, C: float, weight: Floats | None, deadline: float) -> Any:
    """Fit in one go, or to be done by a deadline in pieces.

    Each piece starts from the weights of the one before, and there is none that may end too late.
    """
    linear_model = openmp.load("sklearn.linear_model")
    from sklearn.exceptions import ConvergenceWarning

    pieces = _ITERATIONS if deadline == float("inf") else _ITERATIONS_TO_DEADLINE
    estimator = linear_model.LogisticRegression(C=C, tol=1e-4, warm_start=True)
    with warnings.catch_warnings():
        # The weights after the last iteration are good ones.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for iterations in pieces:
            begin = SYSTEM.monotonic_s()
            estimator.set_params(max_iter=iterations).fit(X, y, weight)
            spent_s = SYSTEM.monotonic_s() - begin
            # The next piece has up to twice the iterations: it may end at `begin + 3 * spent_s`.
            if estimator.n_iter_[0] < iterations or begin + 3 * spent_s > deadline:
                break
    return estimator


def _spread_classes(estimator: Any, target: Target) -> tuple[Floats, Floats]:
    """Return weights and intercepts for every class, also for those that no fitted row had.

    Such a class gets a raw score that no other falls below.
    """
    if not target.kind.SCORE_EACH_CLASS:
        return estimator.coef_, estimator.intercept_

    fitted_classes = estimator.classes_.astype(np.int64)
    weights = np.zeros((len(target.classes), estimator.coef_.shape[1]))
    bias = np.full(len(target.classes), _ABSENT_BIAS)
    if len(fitted_classes) == 2:
        # scikit-learn has one row of weights for two classes: the log odds of the second.
        first, second = fitted_classes
        bias[first] = 0.0
        weights[second] = estimator.coef_[0]
        bias[second] = estimator.intercept_[0]
    else:
        weights[fitted_classes] = estimator.coef_
        bias[fitted_classes] = estimator.intercept_
    return weights, bias


def predict(fitted: Fitted, X: Matrix) -> Floats:
    """Compute raw scores in float64."""
    weights, bias = fitted.state
    raw: Floats = np.asarray(X.astype(np.float64) @ weights.T) + bias
    return raw[:, 0] if raw.shape[1] == 1 else raw


def uses(fitted: Fitted) -> Floats:
    """Return the size of each column's weights `(F,)`; the columns have one scale."""
    weights, _ = fitted.state
    return np.asarray(np.abs(weights).sum(axis=0), np.float64)


def nodes(graph: Graph, inputs: ModelInputs, fitted: Fitted) -> str:
    """Add one `Gemm` in float64, and a sum of look-ups for each bag; return their sum.

    In float32 an intercept of 1e8 would take the digits of everything else.

        weights     [  dense columns  |  bag 1  |  bag 2  ]
                            |              |         |
        raw score =   Gemm + bias   +   look-up + look-up
    """
    weights, bias = fitted.state
    terms = []
    if inputs.width:
        # Type 11 is float64.
        matrix = graph.node("Cast", inputs.matrix, to=11)
        dense = graph.constant(weights[:, : inputs.width].T, np.float64)
        terms.append(graph.node("Gemm", matrix, dense, graph.constant(bias, np.float64)))

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
