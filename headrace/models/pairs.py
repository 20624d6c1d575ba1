"""Pairs of rows of a query with different grades: what a linear model of a ranking learns from.

RankNet's loss (Burges et al., 2005, "Learning to rank using gradient descent") over a sample of the
pairs. A query that shifts the features of all its rows changes no difference within it.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from headrace.arrays import Floats, Integers
from headrace.clock import SYSTEM
from headrace.tasks import Queries

_MOST_OF_A_ROW = 20
_MOST_PAIRS = 1_000_000
_ITERATIONS = 200


class Pairs(NamedTuple):
    """The row with the higher grade, that with the lower one, and what the pair counts `(P,)`."""

    better: Integers
    worse: Integers
    weight: Floats


def draw_pairs(grades: Floats, queries: Queries, weight: Floats | None, seed: int) -> Pairs:
    """Draw up to 20 companions of each row from its query, and keep those of another grade.

    Parameters: `grades (N,)`, rows with those of a query together; `weight (N,)`. A pair counts as
    much as the gains of its rows differ.

    >>> from headrace.tasks import Grading
    >>> queries = Queries(np.array([0, 0, 0, 1]), Grading("linear"))
    >>> pairs = draw_pairs(np.array([0.0, 2.0, 1.0, 5.0]), queries, None, seed=1)
    >>> sorted(zip(pairs.better.tolist(), pairs.worse.tolist()))
    [(1, 0), (1, 2), (2, 0)]
    """
    rows = len(grades)
    of_row = queries.of_row
    sizes = np.bincount(of_row, minlength=queries.count)
    starts = np.cumsum(sizes) - sizes
    size, start = sizes[of_row], starts[of_row]
    each = int(np.clip(_MOST_PAIRS // max(rows, 1), 1, _MOST_OF_A_ROW))
    generator = np.random.default_rng(seed)
    places = np.arange(each)
    drawn = (generator.random((rows, each)) * size[:, None]).astype(np.int64)
    # A short query gives all its pairs.
    is_short = size <= each
    drawn[is_short] = np.minimum(places, size[is_short, None] - 1)

    row = np.repeat(np.arange(rows), each)
    companion = (start[:, None] + drawn).ravel()
    differs = grades[row] != grades[companion]
    row, companion = row[differs], companion[differs]
    is_better = grades[row] > grades[companion]
    better = np.where(is_better, row, companion)
    worse = np.where(is_better, companion, row)
    numbers = np.unique(better * rows + worse)
    better, worse = numbers // rows, numbers % rows

    gains = queries.grading.gains(grades)
    counts = gains[better] - gains[worse]
    if weight is not None:
        counts = counts * (weight[better] + weight[worse]) / 2
    total = counts.sum()
    return Pairs(better, worse, counts / total if total > 0 else counts)


def fit_pairs(X: Any, pairs: Pairs, l2: float, deadline: float = float("inf")) -> Floats:
    """Minimise the mean log loss of the order of pairs, plus `l2 / 2` times the squared weights.

    Parameters: `X (N, F)`, dense or sparse; `deadline`, the time of `Clock.monotonic_s` after which
    no further step begins. Returns the weights `(F,)`.
    """
    from scipy.optimize import minimize

    better, worse, weight = pairs
    rows = X.shape[0]

    def mean_loss(w: Floats) -> tuple[float, Floats]:
        """Compute the loss and its gradient."""
        scores = X @ w
        margin = scores[better] - scores[worse]
        loss = float(weight @ np.logaddexp(0, -margin)) + l2 / 2 * float(w @ w)
        slope = -weight * expit(-margin)
        by_row = np.bincount(better, slope, rows) - np.bincount(worse, slope, rows)
        return loss, np.asarray(by_row @ X) + l2 * w

    def stop_in_time(intermediate_result: Any) -> None:
        if SYSTEM.monotonic_s() > deadline:
            raise StopIteration

    found = minimize(
        mean_loss,
        np.zeros(X.shape[1]),
        jac=True,
        method="L-BFGS-B",
        callback=stop_in_time,
        options={"maxiter": _ITERATIONS},
    )
    return np.asarray(found.x)
