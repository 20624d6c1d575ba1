"""How much of the target one column explains by itself, on rows that the explanation was not made
of.

A column's values (numbers in quantile bins, text by value, missing by itself) are replaced by the
mean target of their bin, taken from the other half of the rows. The share that this explains is of
the variance in regression and of the entropy in classification: 0 for nothing, 1 for everything
(Theil's uncertainty coefficient, estimated out of sample).
"""

import numpy as np
import polars as pl

from headrace.arrays import Floats, Integers
from headrace.spec import Task
from headrace.tasks import task_of

MOST_ROWS = 20_000
_BINS = 64
_PRIOR_ROWS = 2.0
_MOSTLY_THERE = 0.99
_SEED = 0


def sampled(frame: pl.DataFrame, y: Floats) -> tuple[pl.DataFrame, Floats]:
    """At most `MOST_ROWS` rows, drawn at random, in their order."""
    if frame.height <= MOST_ROWS:
        return frame, y
    rows = np.sort(np.random.default_rng(_SEED).choice(frame.height, MOST_ROWS, replace=False))
    return frame[rows], y[rows]


def bins_of(values: pl.Series) -> Integers:
    """A column as bins `(N,)`: 0 for missing, then up to 64 quantiles of numbers and times, or one for each text."""
    if values.dtype in (pl.String, pl.Boolean):
        return values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    numbers = values.to_physical().cast(pl.Float64).fill_nan(None)
    present = numbers.drop_nulls().to_numpy()
    if not len(present):
        return np.zeros(len(values), np.int64)
    different = np.unique(present)
    if len(different) <= _BINS:
        edges = different
    else:
        edges = np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)[:-1], method="lower"))
    found = np.searchsorted(edges, numbers.fill_null(0.0).to_numpy(), side="right").clip(1)
    return np.where(numbers.is_null().to_numpy(), 0, found)


def explained(bins: Integers, y: Floats, task: Task) -> float:
    """The share of the target `y (N,)` that bins `(N,)` explain, at least 0."""
    halves = np.random.default_rng(_SEED).permutation(len(y)) % 2
    outputs = (
        np.eye(int(y.max()) + 1)[y.astype(np.int64)] if task_of(task).HAS_CLASSES else y[:, None]
    )
    found = np.empty_like(outputs)
    for half in (0, 1):
        fit, held = halves == half, halves != half
        prior = outputs[fit].mean(axis=0)
        rows = np.bincount(bins[fit], minlength=int(bins.max()) + 1)[:, None]
        sums = np.stack(
            [np.bincount(bins[fit], one, minlength=len(rows)) for one in outputs[fit].T], axis=1
        )
        found[held] = ((sums + _PRIOR_ROWS * prior) / (rows + _PRIOR_ROWS))[bins[held]]
    if not task_of(task).HAS_CLASSES:
        spread = float(np.square(y - y.mean()).sum())
        return max(0.0, 1 - float(np.square(y - found[:, 0]).sum()) / spread) if spread else 0.0
    shares = outputs.mean(axis=0)
    entropy = -float((shares * np.log(np.maximum(shares, 1e-12))).sum())
    own = np.maximum(found[np.arange(len(y)), y.astype(np.int64)], 1e-12)
    return max(0.0, 1 + float(np.log(own).mean()) / entropy) if entropy else 0.0


def explained_by(values: pl.Series, y: Floats, task: Task) -> float:
    """The share of the target that a column explains: by its bins, or as a straight line where that says more."""
    binned = explained(bins_of(values), y, task)
    if task_of(task).HAS_CLASSES or not values.dtype.is_numeric():
        return binned
    x = values.cast(pl.Float64).fill_nan(None).to_numpy()
    there = np.isfinite(x)
    if there.mean() < _MOSTLY_THERE or x[there].std() == 0 or y[there].std() == 0:
        return binned
    return max(binned, float(np.corrcoef(x[there], y[there])[0, 1] ** 2))


def relations(frame: pl.DataFrame, y: Floats, task: Task) -> dict[str, float]:
    """The share of the target that each column explains alone.

    >>> y = np.arange(200) % 2 * 1.0
    >>> found = relations(pl.DataFrame({"copy": y, "noise": np.arange(200) // 2 % 7}), y, "binary")
    >>> found["copy"] > 0.9, found["noise"] < 0.1
    (True, True)
    """
    some, targets = sampled(frame, y)
    return {values.name: explained_by(values, targets, task) for values in some}


def balance(y: Floats, labels: list[str]) -> dict[str, float]:
    """The share of each class by its label, the largest first; without labels, the quantiles of a
    value.

    >>> balance(np.array([0.0, 1.0, 1.0, 1.0]), ["no", "yes"])
    {'yes': 0.75, 'no': 0.25}
    """
    if not labels:
        return {
            f"{level:.0%}": float(np.quantile(y, level)) for level in (0.0, 0.25, 0.5, 0.75, 1.0)
        }
    shares = {label: float((y == at).mean()) for at, label in enumerate(labels)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
