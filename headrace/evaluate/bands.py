"""How far curves would move with other rows: a 95 % band around each, and around the dots of a calibration."""

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

from headrace.arrays import Floats, Integers
from headrace.evaluate.predictions import Predictions

_RESAMPLES, _BINS, _GRID = 200, 1_000, 41
_Z = float(ndtri(0.975))


def bands(predictions: Predictions, seed: int = 0) -> dict[str, list[list[float]]]:
    """Bands around the curves of a binary task: points `[x, low, high]` for `roc` (true positive
    rate by false positive rate) and `precision_recall` (precision by recall).

    Bootstrap percentiles at each x (Macskassy, Provost and Rosset, 2005, "vertical averaging").
    Rows enter as counts in steps of the score, each a thousandth of the rows or of the positives,
    which a multinomial draws again; rows of one owner are drawn together. Empty where there is one
    class.

    >>> y = np.tile([0.0, 1.0], 200)
    >>> found = bands(Predictions("binary", y, 0.2 * y + np.linspace(0, 1, 400)))
    >>> x, low, high = found["roc"][20]
    >>> x, 0.5 < low < high < 1.0
    (0.5, True)
    """
    y, owner = predictions.y, predictions.owner
    if not 0 < y.sum() < len(y):
        return {}
    steps = _steps(y, predictions.scores)
    grid = np.linspace(0.0, 1.0, _GRID)
    found = [_curves(true, false, grid) for true, false in _drawn(y, steps, owner, seed)]
    told = {}
    for name, drawn in zip(("roc", "precision_recall"), zip(*found, strict=True), strict=True):
        low, high = np.nanquantile(np.array(drawn), (0.025, 0.975), axis=0)
        told[name] = [
            [float(x), float(a), float(b)] for x, a, b in zip(grid, low, high, strict=True)
        ]
    return told


def _steps(y: Floats, scores: Floats) -> Integers:
    """The step of each row `(N,)`, by falling score; equal scores are in one step."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    first = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    begins = np.maximum.accumulate(np.where(first, np.arange(len(ranked)), 0))
    before = np.cumsum(y[order]) - y[order]
    parts = begins * _BINS // len(ranked), (before[begins] * _BINS // y.sum()).astype(np.int64)
    new = np.concatenate([[False], np.any([part[1:] != part[:-1] for part in parts], axis=0)])
    steps = np.empty(len(scores), np.int64)
    steps[order] = np.cumsum(new)
    return steps


def _drawn(
    y: Floats, steps: Integers, owner: Integers | None, seed: int
) -> Iterator[tuple[Floats, Floats]]:
    """Positives and negatives by step, in each resample."""
    chance, count = np.random.default_rng(seed), int(steps.max()) + 1
    if owner is None:
        cells = np.concatenate([_sums(steps, y, count), _sums(steps, 1 - y, count)])
        for drawn in chance.multinomial(len(y), cells / len(y), _RESAMPLES):
            yield drawn[:count].astype(np.float64), drawn[count:].astype(np.float64)
        return
    owners = int(owner.max()) + 1
    for _ in range(_RESAMPLES):
        weight = np.bincount(chance.integers(0, owners, owners), minlength=owners)[owner].astype(
            np.float64
        )
        yield _sums(steps, weight * y, count), _sums(steps, weight * (1 - y), count)


def _sums(steps: Integers, values: Floats, count: int) -> Floats:
    return np.bincount(steps, values, count).astype(np.float64)


def _curves(positives: Floats, negatives: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """True positive rate and precision over the grid, from the points that scikit-learn's curves begin at."""
    some = positives + negatives > 0
    true, false = np.cumsum(positives[some]), np.cumsum(negatives[some])
    if true[-1] == 0 or false[-1] == 0:
        return np.full(len(grid), np.nan), np.full(len(grid), np.nan)
    tpr, fpr = true / true[-1], np.concatenate([[0.0], false / false[-1]])
    top = np.concatenate(
        [fpr[1:] != fpr[:-1], [True]]
    )  # where a line goes straight up: its upper end
    drawn = np.interp(grid, fpr[top], np.concatenate([[0.0], tpr])[top])
    return drawn, np.interp(
        grid, np.concatenate([[0.0], tpr]), np.concatenate([[1.0], true / (true + false)])
    )


def wilson(events: float, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927): it stays within 0 and 1, and is right for few
    rows.

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    share, z2 = events / rows, _Z * _Z
    middle, half = (
        share + z2 / (2 * rows),
        _Z * np.sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows)),
    )
    return float((middle - half) / (1 + z2 / rows)), float((middle + half) / (1 + z2 / rows))
