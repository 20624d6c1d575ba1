"""Whether a model beats chance, exactly: also with few positives, where resampling misleads.

Fisher (1935); Phipson and Smyth (2010), "Permutation p-values should never be zero". Under chance
the scores have nothing to do with the rows: every permutation of the scores is as likely as the
one that the model gave. The probability is the share of permutations that do at least as well.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from headrace.arrays import Floats, Integers
from headrace.evaluate.measure import compute_metric, cost
from headrace.evaluate.predictions import Predictions
from headrace.tasks import Queries

_PERMUTATIONS = ((5_000, 399), (50_000, 199), (float("inf"), 39))
"""The most rows, and how many permutations for them; each makes a probability of 2.5 % exact."""


def chance_probability(metric: str, predictions: Predictions, seed: int = 0) -> float:
    """Compute the probability of a metric as good as this, were the scores permuted by chance.

    Rows of one owner keep the order of their scores: what is alike within an owner is no evidence.
    Scores of a ranking are permuted within queries.

    >>> y = np.tile([0.0, 1.0], 50)
    >>> right = Predictions("binary", y, y)
    >>> blind = right.with_scores(np.arange(100.0) // 2, None)
    >>> chance_probability("roc_auc", right) < 0.01 < chance_probability("roc_auc", blind)
    True
    """
    rows = len(predictions)
    own = cost(metric, compute_metric(predictions, metric))
    count = next(count for most_rows, count in _PERMUTATIONS if rows <= most_rows)
    as_good = 0
    if predictions.queries is None:
        orders = _permute(rows, predictions.owner, count, seed)
    else:
        orders = _permute_within(predictions.queries, count, seed)
    for order in orders:
        permuted = predictions.with_scores(predictions.scores[order], predictions.threshold)
        # `not >` counts a NaN as well: a metric that is not defined is no evidence.
        as_good += not cost(metric, compute_metric(permuted, metric)) > own
    return (1 + as_good) / (1 + count)


def _permute(rows: int, owner: Integers | None, count: int, seed: int) -> Iterator[Integers]:
    """Yield `count` permutations: for each row `(N,)` the row whose score it gets.

    With owners their blocks are permuted, and each block keeps its inner order:

        rows by owner      a a a | b | c c
        blocks permuted    c c | a a a | b
    """
    generator = np.random.default_rng(seed)
    if owner is None:
        for _ in range(count):
            yield generator.permutation(rows)
        return

    by_owner = np.argsort(owner, kind="stable")
    starts = np.append(np.flatnonzero(np.diff(owner[by_owner], prepend=-1)), rows)
    blocks = [by_owner[start:end] for start, end in pairwise(starts)]
    for _ in range(count):
        order = np.empty(rows, np.int64)
        order[by_owner] = np.concatenate([blocks[at] for at in generator.permutation(len(blocks))])
        yield order


def _permute_within(queries: Queries, count: int, seed: int) -> Iterator[Integers]:
    """Yield `count` permutations that leave every row in its query."""
    generator = np.random.default_rng(seed)
    by_query = np.argsort(queries.of_row, kind="stable")
    for _ in range(count):
        order = np.empty(len(by_query), np.int64)
        order[by_query] = np.lexsort((generator.random(len(by_query)), queries.of_row))
        yield order


def chance_lift(y: Floats) -> float:
    """Return the average precision of a random order less the share of positives among `y (N,)`."""
    return average_precision_by_chance(float(y.sum()), len(y)) - float(y.mean())


def average_precision_by_chance(positives: float, rows: int) -> float:
    """Return the expected average precision of a random order.

    It lies above the share of positives. Each place holds a positive with probability
    `positives / rows`, and the places before it hold the share of positives among the other rows.

    >>> round(average_precision_by_chance(1, 4), 4), average_precision_by_chance(4, 4)
    (0.5208, 1.0)
    """
    if not 0 < positives <= rows:
        return float("nan")
    harmonic = float((1 / np.arange(1, rows + 1)).sum())
    others = (positives - 1) / (rows - 1) if rows > 1 else 0.0
    return (harmonic + others * (rows - harmonic)) / rows
