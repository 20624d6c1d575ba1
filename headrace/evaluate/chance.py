"""Whether a model beats what chance would give, exactly: also with a handful of positives, where
resampling misleads.

Fisher (1935); Phipson and Smyth (2010), "Permutation p-values should never be zero". Under chance
the scores have nothing to do with the rows: every way of dealing them out is as likely as the one
that was seen.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from headrace.arrays import Floats, Integers
from headrace.evaluate.measure import compute_metric, cost
from headrace.evaluate.predictions import Predictions

_DEALS = ((5_000, 399), (50_000, 199), (float("inf"), 39))
"""Up to so many rows, so many deals; with any of these numbers a probability of 2.5 % is exact."""


def chance_probability(metric: str, predictions: Predictions, seed: int = 0) -> float:
    """The probability of a metric as good as this, were the scores dealt out by chance among the
    rows.

    Rows of one owner keep the order of their scores: what is alike within an owner is no evidence.

    >>> y = np.tile([0.0, 1.0], 50)
    >>> right = Predictions("binary", y, y)
    >>> blind = right.with_scores(np.arange(100.0) // 2, None)
    >>> chance_probability("roc_auc", right) < 0.01 < chance_probability("roc_auc", blind)
    True
    """
    own = cost(metric, compute_metric(predictions, metric))
    count = next(count for most, count in _DEALS if len(predictions) <= most)
    as_good = 0
    for order in _deals(len(predictions), predictions.owner, count, seed):
        dealt = predictions.with_scores(predictions.scores[order], predictions.threshold)
        as_good += (
            not cost(metric, compute_metric(dealt, metric)) > own
        )  # one that is not defined is no evidence
    return (1 + as_good) / (1 + count)


def _deals(rows: int, owner: Integers | None, count: int, seed: int) -> Iterator[Integers]:
    """Deals the scores out again and again: yields the row `(N,)` whose score each row gets."""
    generator = np.random.default_rng(seed)
    if owner is None:
        for _ in range(count):
            yield generator.permutation(rows)
        return
    places = np.argsort(owner, kind="stable")
    starts = np.append(np.flatnonzero(np.diff(owner[places], prepend=-1)), rows)
    blocks = [places[start:end] for start, end in pairwise(starts)]
    for _ in range(count):
        order = np.empty(rows, np.int64)
        order[places] = np.concatenate([blocks[at] for at in generator.permutation(len(blocks))])
        yield order


def chance_lift(y: Floats) -> float:
    """How much more than the share of positives among `y (N,)` the average precision of a random order is."""
    return average_precision_by_chance(float(y.sum()), len(y)) - float(y.mean())


def average_precision_by_chance(positives: float, rows: int) -> float:
    """The expected average precision of a random order, which lies above the share of positives.

    Each place holds a positive with probability `positives / rows`, and those before it are among
    the others' share.

    >>> round(average_precision_by_chance(1, 4), 4), average_precision_by_chance(4, 4)
    (0.5208, 1.0)
    """
    if not 0 < positives <= rows:
        return float("nan")
    harmonic = float((1 / np.arange(1, rows + 1)).sum())
    others = (positives - 1) / (rows - 1) if rows > 1 else 0.0
    return (harmonic + others * (rows - harmonic)) / rows
