"""The three shapes of a metric's formula, and the sums that several metrics share.

Nearly every metric is a function of weighted sums over rows (`Sums`); two metrics depend on the
order of the rows (`Ranked`), and those of a ranking on the order within each query (`ListFormula`).
Columns and order are computed once; see `measure` for a drawing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.lists import Lists
from headrace.evaluate.ranking import Ranking


class Sums(NamedTuple):
    """A metric of weighted sums.

    `columns(y, scores, decided)` returns the columns `(N, C)` that are summed, dense or sparse.
    `value(sums, total)` computes the metric from their weighted sums `(C,)` and the weight of all
    rows. Metrics that name the same function of columns share its sums.
    """

    columns: Callable[[Floats, Floats, Floats], Any]
    value: Callable[[Floats, float], float]


class Ranked(NamedTuple):
    """A metric of the order of scores: `value(ranking, weight (N,))`."""

    value: Callable[[Ranking, Floats], float]


ListFormula = Callable[[Lists, int | None], Floats]
"""A metric of the lists of queries: `of_queries(lists, cut)` returns its value for each `(Q,)`.

It looks at the first `cut` rows of each list, at all without one. NaN leaves a query out.
"""


def mean_of_rows(each: Callable[[Floats, Floats, Floats], Floats]) -> Sums:
    """Return the formula of a weighted mean over rows of `each(y, scores, decided)` `(N,)`."""
    return Sums(
        lambda y, scores, decided: each(y, scores, decided)[:, None],
        lambda sums, total: ratio(float(sums[0]), total),
    )


def ratio(over: float, under: float, empty: float = float("nan")) -> float:
    """Divide `over` by `under`; return `empty` where the denominator is 0."""
    return float(over / under) if under else empty


def confusion(y: Floats, scores: Floats, decided: Floats) -> Floats:
    """Return true positives, predicted positives and positives of a binary task `(N, 3)`."""
    return np.column_stack([y * decided, decided, y])


def by_class(y: Floats, scores: Floats, decided: Floats) -> Any:
    """Return true positives, predicted and actual rows of each class: `(N, 3 K)`, sparse.

    At most three numbers of a row are set, so that a thousand classes cost no more than two. A row
    of class 1 that is predicted as class 0, of three classes:

        true positives   predicted   actual
            0 0 0          1 0 0      0 1 0
    """
    from scipy.sparse import csr_array

    rows = len(y)
    classes = scores.shape[1]
    hits = np.flatnonzero(y == decided)
    places = np.concatenate([hits, np.arange(rows), np.arange(rows)])
    columns = np.concatenate([y[hits], classes + decided, 2 * classes + y]).astype(np.int64)
    return csr_array((np.ones(len(places)), (places, columns)), shape=(rows, 3 * classes))


def f1_by_class(sums: Floats) -> tuple[Floats, Floats]:
    """Compute each class's F1 `(K,)` and its rows `(K,)` from the sums of `by_class`.

    F1 is NaN for a class that no row has and no prediction names.
    """
    hit, chosen, actual = sums.reshape(3, -1)
    with np.errstate(invalid="ignore"):
        return 2 * hit / (chosen + actual), actual


def log_losses(y: Floats, scores: Floats) -> Floats:
    """Compute each row's log loss `(N,)` from class numbers and probabilities `(N,)` or `(N, K)`.

    Probabilities are clipped to float32's step from 0 and 1: a single sure mistake must not make
    the loss infinite.
    """
    step = float(np.finfo(np.float32).eps)
    inside: Floats = np.clip(scores.astype(np.float64), step, 1 - step)
    if scores.ndim == 1:
        return -np.where(y > 0, np.log(inside), np.log1p(-inside))
    inside = inside / inside.sum(axis=1, keepdims=True)
    own: Floats = inside[np.arange(len(y)), y.astype(np.int64)]
    return np.asarray(-np.log(own))


def pinball(level: float) -> Sums:
    """Return the formula of a quantile's loss: Koenker and Bassett (1978), "Regression quantiles".

    >>> columns, _ = pinball(0.9)
    >>> losses = columns(np.array([10.0, 10.0]), np.array([9.0, 11.0]), np.zeros(2))
    >>> losses.round(3).ravel().tolist()
    [0.9, 0.1]
    """
    return mean_of_rows(
        lambda y, scores, decided: np.maximum(level * (y - scores), (level - 1) * (y - scores))
    )
