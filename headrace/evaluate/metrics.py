"""The usual metrics of each task, as functions of the rows' weights.

Nearly every metric is a function of weighted sums over rows; the two rankings need a sort as well. So both the columns
that are summed and the sort are made once, and a bootstrap resample, which is nothing but other weights, costs one
product. Values equal scikit-learn's where it has the metric.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from headrace.arrays import Floats
from headrace.spec import METRICS, SMALLER_IS_BETTER, Task

_BINS = 10


def higher_is_better(metric: str) -> bool:
    """The direction of a metric.

    >>> higher_is_better("roc_auc"), higher_is_better("rmse")
    (True, False)
    """
    return metric not in SMALLER_IS_BETTER


def cost(metric: str, value: float) -> float:
    """A number that is smaller where the value is better; a calibration ratio is best at 1.

    >>> cost("roc_auc", 0.75), cost("rmse", 2.0), cost("calibration_ratio", 1.0)
    (-0.75, 2.0, 0.0)
    """
    if metric == "calibration_ratio":
        return abs(float(np.log(value))) if value > 0 else float("inf")
    return -value if higher_is_better(metric) else value


def better(metric: str, a: float, b: float) -> bool:
    """Whether `a` beats `b`; nothing beats where either is NaN."""
    return cost(metric, a) < cost(metric, b)


class Sums(NamedTuple):
    """`columns(y, scores, decided)` `(N, C)` are summed with the weights of rows; `value(sums, total)` is the
    metric."""

    columns: Callable[[Floats, Floats, Floats], Any]
    value: Callable[[Floats, float], float]


def _mean(per_row: Callable[[Floats, Floats, Floats], Floats]) -> Sums:
    return Sums(lambda y, s, d: per_row(y, s, d)[:, None], lambda sums, total: _ratio(float(sums[0]), total))


def _ratio(over: float, under: float, empty: float = float("nan")) -> float:
    return float(over / under) if under else empty


def _entropy(share: float) -> float:
    return float(-(share * np.log(share) + (1 - share) * np.log1p(-share))) if 0 < share < 1 else float("nan")


def _confusion(y: Floats, s: Floats, d: Floats) -> Floats:
    """True positives, predicted positives, positives."""
    return np.column_stack([y * d, d, y])


def _bins(y: Floats, s: Floats, d: Floats) -> Floats:
    """The sums of `y - p` in ten bins that hold equally many rows: their absolute values add up to the error."""
    found = np.zeros((len(y), _BINS))
    rank = np.argsort(np.argsort(s, kind="stable"), kind="stable")
    found[np.arange(len(y)), rank * _BINS // max(len(y), 1)] = y - s
    return found


def _by_class(y: Floats, s: Floats, d: Floats) -> Any:
    """True positives, predicted and actual rows of each class, side by side: three numbers a row of which few are set,
    so that a thousand classes cost no more than two."""
    from scipy.sparse import csr_array

    rows, classes = len(y), s.shape[1]
    hits = np.flatnonzero(y == d)
    places = [hits, np.arange(rows), np.arange(rows)]
    columns = [y[hits], classes + d, 2 * classes + y]
    ones = np.ones(2 * rows + len(hits))
    where = np.concatenate(places), np.concatenate(columns).astype(np.int64)
    return csr_array((ones, where), shape=(rows, 3 * classes))


def _f1s(sums: Floats) -> tuple[Floats, Floats]:
    """F1 of each class and its rows; NaN for a class that is neither predicted nor there."""
    hit, chosen, actual = sums.reshape(3, -1)
    with np.errstate(invalid="ignore"):
        return 2 * hit / (chosen + actual), actual


def _weighted_f1(sums: Floats, total: float) -> float:
    f1, actual = _f1s(sums)
    return _ratio(float(np.nansum(f1 * actual)), float(actual.sum()))


def _r2(sums: Floats, total: float) -> float:
    squares, y, y_squares = sums
    spread = y_squares - y * y / total
    return 1 - float(squares) / float(spread) if spread > 1e-12 * max(float(y_squares), 1e-300) else float("nan")


def _pinball(level: float) -> Sums:
    return _mean(lambda y, s, d: np.maximum(level * (y - s), (level - 1) * (y - s)))


def log_losses(y: Floats, scores: Floats) -> Floats:
    """Each row's log loss `(N,)` for class numbers and probabilities `(N,)` or `(N, K)`.

    Probabilities are kept off 0 and 1 by float32's step: a single sure mistake must not make the loss infinite.
    """
    step = float(np.finfo(np.float32).eps)
    inside: Floats = np.clip(scores.astype(np.float64), step, 1 - step)
    if scores.ndim == 1:
        return -np.where(y > 0, np.log(inside), np.log1p(-inside))
    inside = inside / inside.sum(axis=1, keepdims=True)
    own: Floats = inside[np.arange(len(y)), y.astype(np.int64)]
    return np.asarray(-np.log(own))


def _in_top(y: Floats, s: Floats, k: int) -> Floats:
    own = s[np.arange(len(y)), y.astype(np.int64)]
    return np.asarray((s > own[:, None]).sum(axis=1) < k, np.float64)


_SUMS: dict[Task, dict[str, Sums]] = {
    "binary": {
        "log_loss": _mean(lambda y, s, d: log_losses(y, s)),
        "normalized_entropy": Sums(
            lambda y, s, d: np.column_stack([log_losses(y, s), y]),
            lambda sums, total: _ratio(_ratio(sums[0], total), _entropy(_ratio(sums[1], total))),
        ),
        "brier": _mean(lambda y, s, d: np.square(s - y)),
        "calibration_error": Sums(_bins, lambda sums, total: _ratio(float(np.abs(sums).sum()), total)),
        "calibration_ratio": Sums(lambda y, s, d: np.column_stack([s, y]), lambda sums, total: _ratio(*sums)),
        "precision": Sums(_confusion, lambda sums, total: _ratio(sums[0], sums[1], 0.0)),
        "recall": Sums(_confusion, lambda sums, total: _ratio(sums[0], sums[2], 0.0)),
        "f1": Sums(_confusion, lambda sums, total: _ratio(2 * sums[0], sums[1] + sums[2], 0.0)),
        "accuracy": _mean(lambda y, s, d: (d == y).astype(np.float64)),
    },
    "multiclass": {
        "log_loss": _mean(lambda y, s, d: log_losses(y, s)),
        "accuracy": _mean(lambda y, s, d: (d == y).astype(np.float64)),
        "macro_f1": Sums(_by_class, lambda sums, total: float(np.nanmean(_f1s(sums)[0]))),
        "weighted_f1": Sums(_by_class, _weighted_f1),
        "top_3_accuracy": _mean(lambda y, s, d: _in_top(y, s, 3)),
    },
    "regression": {
        "rmse": Sums(
            lambda y, s, d: np.square(s - y)[:, None], lambda sums, total: float(np.sqrt(_ratio(float(sums[0]), total)))
        ),
        "mae": _mean(lambda y, s, d: np.abs(s - y)),
        "mape": _mean(lambda y, s, d: np.abs(s - y) / np.maximum(np.abs(y), np.finfo(np.float64).eps)),
        "r2": Sums(lambda y, s, d: np.column_stack([np.square(s - y), y - y.mean(), np.square(y - y.mean())]), _r2),
        "pinball_10": _pinball(0.1),
        "pinball_90": _pinball(0.9),
    },
}


class Ranking:
    """Rows from the highest score to the lowest, ties together."""

    def __init__(self, y: Floats, scores: Floats) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        self.ends = np.flatnonzero(np.concatenate([ranked[1:] != ranked[:-1], [True]]))
        self.y = y[self.order]

    def counts(self, weight: Floats) -> tuple[Floats, Floats]:
        """The weight of positives and of negatives down to the end of each group of ties."""
        ranked = weight[self.order]
        positives = np.cumsum(ranked * self.y)[self.ends]
        return positives, np.cumsum(ranked)[self.ends] - positives

    def roc_auc(self, weight: Floats) -> float:
        """The share of pairs that are in order, ties counting half (Hanley and McNeil, 1982)."""
        hits, misses = self.counts(weight)
        if not (hits[-1] > 0 and misses[-1] > 0):
            return float("nan")
        area = np.diff(misses, prepend=0.0) @ (hits + np.concatenate([[0.0], hits[:-1]])) / 2
        return float(area / (hits[-1] * misses[-1]))

    def average_precision(self, weight: Floats) -> float:
        """The precision at each positive, averaged."""
        hits, misses = self.counts(weight)
        if not (hits[-1] > 0 and misses[-1] > 0):
            return float("nan")
        seen = hits + misses
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        return float(np.diff(hits, prepend=0.0) @ precision / hits[-1])


class Measure:
    """The metrics of some predictions, to be had for any weights of the rows.

    Parameters: `y (N,)`, class numbers or values; `scores`, the positive class's probability `(N,)`, every class's
    `(N, K)`, or values `(N,)`; `names`, which metrics (all of the task's if left out); `threshold`, where a binary
    decision is made.

    >>> measured = Measure("binary", np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.1]), ["roc_auc", "recall"])
    >>> measured(np.ones(3))
    {'roc_auc': 0.5, 'recall': 0.5}
    """

    def __init__(
        self, task: Task, y: Floats, scores: Floats, names: list[str] | None = None, threshold: float = 0.5
    ) -> None:
        self.names = [name for name in METRICS[task] if names is None or name in names]
        self.rows = len(y)
        chosen = scores.argmax(axis=1) if scores.ndim == 2 else scores >= threshold
        decided: Floats = chosen.astype(np.float64)
        self._values: list[tuple[str, Callable[[Floats, float], float], int, slice]] = []
        dense: list[Floats] = []
        self._columns: list[Any] = [np.empty((self.rows, 0))]  # all dense ones together, then the sparse ones
        made: dict[Any, tuple[int, slice]] = {}
        width = 0
        for name in self.names:
            if name in _SUMS[task]:
                one = _SUMS[task][name]
                if one.columns not in made:
                    columns = one.columns(y, scores, decided)
                    if isinstance(columns, np.ndarray):
                        dense.append(columns)
                        made[one.columns] = 0, slice(width, width + columns.shape[1])
                        width += columns.shape[1]
                    else:
                        made[one.columns] = len(self._columns), slice(None)
                        self._columns.append(columns)
                self._values.append((name, one.value, *made[one.columns]))
        if dense:
            self._columns[0] = np.hstack(dense)
        ranked = [name for name in self.names if name not in _SUMS[task]]
        ranking = Ranking(y, scores) if ranked else None
        self._ranked = [(name, getattr(ranking, name)) for name in ranked]

    def __call__(self, weight: Floats) -> dict[str, float]:
        """The metrics where each row counts `weight (N,)`; one that is not defined is NaN."""
        sums, total = [weight @ columns for columns in self._columns], float(weight.sum())
        found = {name: value(sums[block][at], total) for name, value, block, at in self._values}
        found |= {name: value(weight) for name, value in self._ranked}
        return {name: found[name] for name in self.names}


def metrics(
    task: Task, y: Floats, scores: Floats, weight: Floats | None = None, threshold: float = 0.5
) -> dict[str, float]:
    """All metrics of a task; see `Measure`.

    >>> round(metrics("regression", np.array([1.0, 2.0]), np.array([1.0, 4.0]))["rmse"], 3)
    1.414
    """
    return Measure(task, y, scores, None, threshold)(np.ones(len(y)) if weight is None else weight)
