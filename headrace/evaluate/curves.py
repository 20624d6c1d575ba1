"""What a metric hides: curves as plain lists, short enough for a page."""

import numpy as np
from msgspec import Struct, structs

from headrace import openmp
from headrace.arrays import Floats, Integers
from headrace.evaluate.bands import wilson
from headrace.evaluate.predictions import Predictions

_POINTS = 120
_BINS = 10
_MOST_CLASSES, _MOST_PAIRS = 100, 50
_SCATTERED = 500
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class Curves(Struct, frozen=True, omit_defaults=True):
    """What a page draws of predictions, as plain lists; a task has some of them.

    `roc` and `precision_recall` are points of a binary task; `calibration` has ten equally filled
    bins: mean prediction, share of events, rows, and the 95 % interval of the share. `confusion`
    counts rows by true and by chosen class; with more than 100 classes `confused` lists the most
    frequent mistakes: true class, chosen class, rows, rows of the true class. `scatter` has up to
    500 rows of a regression, `quantiles` are those of its error.
    """

    confusion: list[list[int]] | None = None
    confused: list[list[int]] | None = None
    calibration: list[list[float]] | None = None
    roc: list[list[float]] | None = None
    precision_recall: list[list[float]] | None = None
    scatter: list[list[float]] | None = None
    quantiles: list[list[float]] | None = None


def curves(predictions: Predictions, classes: int) -> Curves:
    """The curves of predictions of a task with so many classes."""
    y, scores = predictions.y, predictions.scores
    if not predictions.kind.HAS_CLASSES:
        picked = np.linspace(0, len(y) - 1, min(len(y), _SCATTERED)).astype(np.int64)
        errors = scores - y
        return Curves(
            scatter=[[float(y[row]), float(scores[row])] for row in picked],
            quantiles=[[share, float(np.quantile(errors, share))] for share in _QUANTILES],
        )

    chosen = predictions.decided.astype(np.int64)
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (y.astype(np.int64), chosen), 1)
    found = (
        Curves(confusion=table.tolist())
        if classes <= _MOST_CLASSES
        else Curves(confused=_confused(table))
    )
    if predictions.kind.SCORE_EACH_CLASS:
        hits = (chosen == y).astype(np.float64)
        return structs.replace(found, calibration=_calibration(hits, scores.max(axis=1)))

    found = structs.replace(found, calibration=_calibration(y, scores))
    if not 0 < y.sum() < len(y):
        return found
    sk = openmp.load("sklearn.metrics")
    false_rate, true_rate, _ = sk.roc_curve(y, scores)
    precision, recall, _ = sk.precision_recall_curve(y, scores)
    return structs.replace(
        found,
        roc=_thin(false_rate, true_rate),
        precision_recall=_thin(recall[::-1], precision[::-1]),
    )


def _confused(table: Integers) -> list[list[int]]:
    """Of many classes the pairs that are most often taken for each other: true class, chosen class,
    rows, rows of the true class.
    """
    wrong = table - np.diag(np.diag(table))
    most = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [
        (int(row), int(at)) for row, at in zip(*np.unravel_index(most, table.shape), strict=True)
    ]
    return [
        [row, at, int(wrong[row, at]), int(table[row].sum())] for row, at in pairs if wrong[row, at]
    ]


def _calibration(y: Floats, scores: Floats) -> list[list[float]]:
    """Mean prediction, share of events, rows, and the 95 % interval of the share, of each bin."""
    bins = np.array_split(np.argsort(scores, kind="stable"), min(_BINS, len(y)))
    return [
        [
            float(scores[rows].mean()),
            float(y[rows].mean()),
            len(rows),
            *wilson(float(y[rows].sum()), len(rows)),
        ]
        for rows in bins
    ]


def _thin(x: Floats, y: Floats) -> list[list[float]]:
    """At most `_POINTS` points, spread evenly along the curve's own length."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    picked = np.unique(
        np.searchsorted(length, np.linspace(0, length[-1], _POINTS)).clip(0, len(x) - 1)
    )
    return [[round(float(x[i]), 5), round(float(y[i]), 5)] for i in picked]
