"""What a metric hides: curves as plain lists, short enough for a page."""

from typing import Any

import numpy as np

from headrace import openmp
from headrace.arrays import Floats, Integers
from headrace.evaluate.bands import wilson
from headrace.spec import Task

_POINTS = 120
_BINS = 10
_MOST_CLASSES, _MOST_PAIRS = 100, 50


def curves(task: Task, y: Floats, scores: Floats, classes: list[Any], threshold: float = 0.5) -> dict[str, Any]:
    """The curves of a task on some rows.

    Binary: `roc` and `precision_recall` as points, `calibration` in ten equally filled bins, `confusion` at the
    threshold. Multiclass: `confusion` (with more than 100 classes `confused`,
    the most frequent mistakes) and `calibration` of the chosen class. Regression: `scatter` of up to 500 rows
    and the `quantiles` of the error.
    """
    if task == "regression":
        picked = np.linspace(0, len(y) - 1, min(len(y), 500)).astype(np.int64)
        errors = scores - y
        shares = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
        return {
            "scatter": [[float(y[row]), float(scores[row])] for row in picked],
            "quantiles": [[share, float(np.quantile(errors, share))] for share in shares],
        }
    chosen = scores.argmax(axis=1) if task == "multiclass" else (scores >= threshold).astype(np.int64)
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(table, (y.astype(np.int64), chosen), 1)
    found: dict[str, Any] = {"confusion": table.tolist()} if len(classes) <= _MOST_CLASSES else _confused(table)
    if task == "multiclass":
        return found | {"calibration": _calibration((chosen == y).astype(np.float64), scores.max(axis=1))}
    sk = openmp.load("sklearn.metrics")

    found["calibration"] = _calibration(y, scores)
    if 0 < y.sum() < len(y):
        false_rate, true_rate, _ = sk.roc_curve(y, scores)
        precision, recall, _ = sk.precision_recall_curve(y, scores)
        found["roc"] = _thin(false_rate, true_rate)
        found["precision_recall"] = _thin(recall[::-1], precision[::-1])
    return found


def _confused(table: Integers) -> dict[str, Any]:
    """Of many classes the pairs that are most often taken for each other: true class, chosen class, rows, rows of the
    true class."""
    wrong = table - np.diag(np.diag(table))
    most = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [(int(row), int(at)) for row, at in zip(*np.unravel_index(most, table.shape), strict=True)]
    return {"confused": [[row, at, int(wrong[row, at]), int(table[row].sum())] for row, at in pairs if wrong[row, at]]}


def _calibration(y: Floats, scores: Floats) -> list[list[float]]:
    """Mean prediction, share of events, rows, and the 95 % interval of the share, of each bin."""
    bins = np.array_split(np.argsort(scores, kind="stable"), min(_BINS, len(y)))
    return [
        [float(scores[rows].mean()), float(y[rows].mean()), len(rows), *wilson(float(y[rows].sum()), len(rows))]
        for rows in bins
    ]


def _thin(x: Floats, y: Floats) -> list[list[float]]:
    """At most `_POINTS` points, spread evenly along the curve's own length."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    picked = np.unique(np.searchsorted(length, np.linspace(0, length[-1], _POINTS)).clip(0, len(x) - 1))
    return [[round(float(x[i]), 5), round(float(y[i]), 5)] for i in picked]
