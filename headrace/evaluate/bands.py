"""How far a curve would move with other rows: a 95 % band around it.

Rows enter as counts, so that a million rows cost no more than a few thousand:

    rows by falling score    0.9   0.8  0.8   0.7   0.5   0.4
    truth                     1     0    1     0     1     0
    step                      0    └── 1 ──┘   2     3     4     equal scores share a step
    positives of the step     1        1       0     1     0
    negatives of the step     0        1       1     0     1

Each resample draws these ten counts again. Their running sums are the points of its curve:

    true positives            1        2       2     3     3
    false positives           0        1       2     2     3

Every curve is read at the same 41 values of x. The band at x reaches from the 2.5 % to the 97.5 %
percentile of the values that the resampled curves have there.
"""

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

from headrace.arrays import Floats, Integers
from headrace.evaluate.predictions import Predictions

_RESAMPLES = 200
_BINS = 1_000
_GRID = 41
_Z = float(ndtri(0.975))


def bands(predictions: Predictions, seed: int = 0) -> dict[str, list[list[float]]]:
    """Draw bands around the curves of a binary task, as points `[x, low, high]`.

    `roc` is the true positive rate by the false positive rate, `precision_recall` the precision by
    the recall. Empty where the rows have one class.

    Bootstrap percentiles at each x (Macskassy, Provost and Rosset, 2005, "vertical averaging").
    Rows enter as counts in steps of the score, each a thousandth of the rows or of the positives,
    which a multinomial draws again; rows of one owner are drawn together.

    >>> y = np.tile([0.0, 1.0], 200)
    >>> found = bands(Predictions("binary", y, 0.2 * y + np.linspace(0, 1, 400)))
    >>> x, low, high = found["roc"][20]
    >>> x, 0.5 < low < high < 1.0
    (0.5, True)
    """
    y = predictions.y
    if not 0 < y.sum() < len(y):
        return {}

    steps = _number_steps(y, predictions.scores)
    grid = np.linspace(0.0, 1.0, _GRID)
    rates: list[Floats] = []
    precisions: list[Floats] = []
    for positives, negatives in _resample_counts(y, steps, predictions.owner, seed):
        rate, precision = _read_curves(positives, negatives, grid)
        rates.append(rate)
        precisions.append(precision)
    return {"roc": _band(grid, rates), "precision_recall": _band(grid, precisions)}


def _band(grid: Floats, lines: list[Floats]) -> list[list[float]]:
    """Find the 95 % band of lines, each with a value at every x of the grid."""
    low, high = np.nanquantile(np.array(lines), (0.025, 0.975), axis=0)
    points: list[list[float]] = np.column_stack([grid, low, high]).tolist()
    return points


def _number_steps(y: Floats, scores: Floats) -> Integers:
    """Return the number of each row's step `(N,)`, by falling score.

    Equal scores are in one step. A new step begins where the rows above, or the positives above,
    pass another thousandth.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    first = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    # A row counts from the place where its group of ties begins.
    begins = np.maximum.accumulate(np.where(first, np.arange(len(ranked)), 0))
    positives_above = np.cumsum(y[order]) - y[order]

    row_bins = begins * _BINS // len(ranked)
    positive_bins = (positives_above[begins] * _BINS // y.sum()).astype(np.int64)
    is_new = (row_bins[1:] != row_bins[:-1]) | (positive_bins[1:] != positive_bins[:-1])

    steps = np.empty(len(scores), np.int64)
    steps[order] = np.cumsum(np.concatenate([[False], is_new]))
    return steps


def _resample_counts(
    y: Floats, steps: Integers, owner: Integers | None, seed: int
) -> Iterator[tuple[Floats, Floats]]:
    """Yield the positives and the negatives of each step, resample by resample."""
    generator = np.random.default_rng(seed)
    count = int(steps.max()) + 1

    # Rows on their own: drawing the counts is the same as drawing the rows, and much cheaper.
    if owner is None:
        cells = np.concatenate([_sum_by_step(steps, y, count), _sum_by_step(steps, 1 - y, count)])
        for drawn in generator.multinomial(len(y), cells / len(y), _RESAMPLES):
            yield drawn[:count].astype(np.float64), drawn[count:].astype(np.float64)
        return

    # Rows of one owner come or go together, which a multinomial over steps cannot express.
    owners = int(owner.max()) + 1
    for _ in range(_RESAMPLES):
        times = np.bincount(generator.integers(0, owners, owners), minlength=owners)
        weight = times[owner].astype(np.float64)
        positives = _sum_by_step(steps, weight * y, count)
        yield positives, _sum_by_step(steps, weight * (1 - y), count)


def _sum_by_step(steps: Integers, values: Floats, count: int) -> Floats:
    return np.bincount(steps, values, count).astype(np.float64)


def _read_curves(positives: Floats, negatives: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """Read the true positive rate and the precision at each x of the grid.

    Parameters: counts by step, from the highest score down. Both curves begin where scikit-learn's
    do. NaN all over where the counts have one class.
    """
    has_rows = positives + negatives > 0
    hits = np.cumsum(positives[has_rows])
    misses = np.cumsum(negatives[has_rows])
    if hits[-1] == 0 or misses[-1] == 0:
        undefined = np.full(len(grid), np.nan)
        return undefined, undefined

    recall = np.concatenate([[0.0], hits / hits[-1]])
    false_rate = np.concatenate([[0.0], misses / misses[-1]])
    precision = np.concatenate([[1.0], hits / (hits + misses)])
    # Where the ROC curve goes straight up it has many values at one x: its upper end counts.
    top = np.concatenate([false_rate[1:] != false_rate[:-1], [True]])
    rate_at = np.interp(grid, false_rate[top], recall[top])
    return rate_at, np.interp(grid, recall, precision)


def wilson(events: float, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927).

    It stays within 0 and 1, and is right for few rows.

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    share = events / rows
    z2 = _Z * _Z
    middle = share + z2 / (2 * rows)
    half = _Z * np.sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows))
    scale = 1 + z2 / rows
    return float((middle - half) / scale), float((middle + half) / scale)
