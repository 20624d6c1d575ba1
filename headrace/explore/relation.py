"""Measures how much of the target one column explains by itself.

A column's values become bins: quantiles of numbers, one bin for each text, one for missing. The
mean target of a bin in one half of the rows predicts the rows of this bin in the other half:

    bin     mean of y in half A    predicts in half B
    0       0.10                   0.10 0.10 0.10 …
    1       0.80                   0.80 0.80 …

The explained share is of the variance in regression (R²) and of the entropy in classification
(Theil's uncertainty coefficient): 0 for nothing, 1 for everything. As no row predicts itself, noise
explains nothing.
"""

import numpy as np
import polars as pl

from headrace.arrays import Floats, Integers
from headrace.spec import Task
from headrace.tasks import find_task

MOST_ROWS = 20_000
_BINS = 64
_PRIOR_ROWS = 2.0
_MOSTLY_FINITE = 0.99
_SEED = 0


def sample_rows(frame: pl.DataFrame, y: Floats) -> tuple[pl.DataFrame, Floats]:
    """Draw at most `MOST_ROWS` rows of a frame and of `y (N,)`; the rows stay in their order."""
    if frame.height <= MOST_ROWS:
        return frame, y
    rows = np.sort(np.random.default_rng(_SEED).choice(frame.height, MOST_ROWS, replace=False))
    return frame[rows], y[rows]


def bin_column(values: pl.Series) -> Integers:
    """Cut a column into bins; return the number of each row's bin `(N,)`.

    Bin 0 is for missing values. Numbers and times have up to 64 quantiles, texts and flags a bin
    for each value.

    >>> bin_column(pl.Series(["a", None, "b", "a"])).tolist()
    [1, 0, 2, 1]
    """
    if values.dtype in (pl.String, pl.Boolean):
        return values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    numbers = values.to_physical().cast(pl.Float64).fill_nan(None)
    present = numbers.drop_nulls().to_numpy()
    if not len(present):
        return np.zeros(len(values), np.int64)
    edges = np.unique(present)
    if len(edges) > _BINS:
        levels = np.linspace(0, 1, _BINS + 1)[:-1]
        edges = np.unique(np.quantile(present, levels, method="lower"))
    bins = np.searchsorted(edges, numbers.fill_null(0.0).to_numpy(), side="right").clip(1)
    return np.where(numbers.is_null().to_numpy(), 0, bins)


def explain_by_bins(bins: Integers, y: Floats, task: Task) -> float:
    """Return the share of the target `y (N,)` that bins `(N,)` explain, at least 0."""
    has_classes = find_task(task).HAS_CLASSES
    outputs = np.eye(int(y.max()) + 1)[y.astype(np.int64)] if has_classes else y[:, None]
    predicted = _predict_halves(bins, outputs)

    if not has_classes:
        spread = float(np.square(y - y.mean()).sum())
        if not spread:
            return 0.0
        return max(0.0, 1 - float(np.square(y - predicted[:, 0]).sum()) / spread)

    shares = outputs.mean(axis=0)
    entropy = -float((shares * np.log(np.maximum(shares, 1e-12))).sum())
    if not entropy:
        return 0.0
    of_outcome = np.maximum(predicted[np.arange(len(y)), y.astype(np.int64)], 1e-12)
    return max(0.0, 1 + float(np.log(of_outcome).mean()) / entropy)


def _predict_halves(bins: Integers, outputs: Floats) -> Floats:
    """Predict `outputs (N, K)` in each half of the rows by the means of the bins in the other half.

    A bin's mean is drawn to the mean of all rows, as if it had `_PRIOR_ROWS` more of them.
    """
    halves = np.random.default_rng(_SEED).permutation(len(outputs)) % 2
    predicted = np.empty_like(outputs)
    for half in (0, 1):
        fitted = halves == half
        unseen = halves != half
        prior = outputs[fitted].mean(axis=0)
        rows = np.bincount(bins[fitted], minlength=int(bins.max()) + 1)[:, None]
        sums = np.stack(
            [np.bincount(bins[fitted], one, minlength=len(rows)) for one in outputs[fitted].T],
            axis=1,
        )
        means = (sums + _PRIOR_ROWS * prior) / (rows + _PRIOR_ROWS)
        predicted[unseen] = means[bins[unseen]]
    return predicted


def explain_by_column(values: pl.Series, y: Floats, task: Task) -> float:
    """Return the share of the target `y (N,)` that a column explains.

    In regression a number may explain it by its bins or as a straight line; the larger share
    counts.
    """
    by_bins = explain_by_bins(bin_column(values), y, task)
    if find_task(task).HAS_CLASSES or not values.dtype.is_numeric():
        return by_bins
    x = values.cast(pl.Float64).fill_nan(None).to_numpy()
    finite = np.isfinite(x)
    # a line through few of the rows says nothing about all of them
    if finite.mean() < _MOSTLY_FINITE or x[finite].std() == 0 or y[finite].std() == 0:
        return by_bins
    return max(by_bins, float(np.corrcoef(x[finite], y[finite])[0, 1] ** 2))


def relations(frame: pl.DataFrame, y: Floats, task: Task) -> dict[str, float]:
    """Measure the share of the target `y (N,)` that each column explains alone.

    >>> y = np.arange(200) % 2 * 1.0
    >>> frame = pl.DataFrame({"copy": y, "noise": np.arange(200) // 2 % 7})
    >>> shares = relations(frame, y, "binary")
    >>> shares["copy"] > 0.9, shares["noise"] < 0.1
    (True, True)
    """
    rows, targets = sample_rows(frame, y)
    return {values.name: explain_by_column(values, targets, task) for values in rows}


def balance(y: Floats, labels: list[str]) -> dict[str, float]:
    """Describe the target `y (N,)`: the share of each class, the largest first, or quantiles.

    `labels` are those of the classes; without labels the target is a value.

    >>> balance(np.array([0.0, 1.0, 1.0, 1.0]), ["no", "yes"])
    {'yes': 0.75, 'no': 0.25}
    >>> balance(np.arange(5.0), [])
    {'0%': 0.0, '25%': 1.0, '50%': 2.0, '75%': 3.0, '100%': 4.0}
    """
    if not labels:
        levels = (0.0, 0.25, 0.5, 0.75, 1.0)
        return {f"{level:.0%}": float(np.quantile(y, level)) for level in levels}
    shares = {label: float((y == number).mean()) for number, label in enumerate(labels)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
