"""Curves that show what a single metric hides, as plain lists, short enough for a page."""

import numpy as np
from msgspec import Struct, structs

from headrace import openmp
from headrace.arrays import Floats, Integers
from headrace.evaluate.bands import wilson
from headrace.evaluate.bootstrap import intervals
from headrace.evaluate.measure import compute_metrics, measure_queries
from headrace.evaluate.predictions import Predictions
from headrace.spec import MOST_CUT
from headrace.tasks import Queries

_CUTS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)
_SPREAD_BINS = 20
_POINTS = 120
_BINS = 10
_MOST_CLASSES = 100
_MOST_PAIRS = 50
_SCATTERED = 500
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class Curves(Struct, frozen=True, omit_defaults=True):
    """The curves that a page draws of predictions, as plain lists; each task has some of them."""

    confusion: list[list[int]] | None = None
    """Rows by true class and by chosen class, up to 100 classes."""
    confused: list[list[int]] | None = None
    """With more classes, the most frequent mistakes: true class, chosen class, rows, and rows of
    the true class."""
    by_class: list[list[float]] | None = None
    """For each class of a multiclass task: rows, precision, recall, F1."""
    calibration: list[list[float]] | None = None
    """Ten equally filled bins: mean prediction, share of events, rows, and the two ends of the
    share's 95 % interval."""
    roc: list[list[float]] | None = None
    """Points of a binary task: false positive rate, true positive rate."""
    precision_recall: list[list[float]] | None = None
    """Points of a binary task: recall, precision."""
    scatter: list[list[float]] | None = None
    """Up to 500 rows of a regression: true value, prediction."""
    quantiles: list[list[float]] | None = None
    """Quantiles of a regression's error: share of rows, error."""
    by_cut: list[list[float]] | None = None
    """NDCG of a ranking by the number of first rows that it looks at: cut, value, and the ends of
    the 95 % interval."""
    spread: list[list[float]] | None = None
    """How many queries of a ranking have a metric in each of twenty bins: from, to, queries."""


def curves(predictions: Predictions, classes: int, metric: str = "ndcg_10") -> Curves:
    """Draw the curves of predictions of a task with so many classes.

    Parameters: `metric`, that whose spread over the queries of a ranking is drawn.
    """
    if predictions.queries is not None:
        return _ranking_curves(predictions, predictions.queries, metric)
    if not predictions.kind.HAS_CLASSES:
        return _regression_curves(predictions.y, predictions.scores)

    y = predictions.y
    scores = predictions.scores
    chosen = predictions.decided.astype(np.int64)
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (y.astype(np.int64), chosen), 1)
    found = _count_confusions(table)
    if predictions.kind.SCORE_EACH_CLASS:
        hits = (chosen == y).astype(np.float64)
        calibration = _calibration(hits, scores.max(axis=1))
        return structs.replace(found, calibration=calibration, by_class=_judge_classes(table))

    found = structs.replace(found, calibration=_calibration(y, scores))
    # With one class neither curve is defined.
    if not 0 < y.sum() < len(y):
        return found

    sk = openmp.load("sklearn.metrics")
    false_rate, true_rate, _ = sk.roc_curve(y, scores)
    precision, recall, _ = sk.precision_recall_curve(y, scores)
    return structs.replace(
        found,
        roc=_thin_out(false_rate, true_rate),
        precision_recall=_thin_out(recall[::-1], precision[::-1]),
    )


def _ranking_curves(predictions: Predictions, queries: Queries, metric: str) -> Curves:
    longest = int(np.bincount(queries.of_row).max())
    cuts = [cut for cut in _CUTS if cut < longest] + [longest]
    names = {cut: f"ndcg_{min(cut, MOST_CUT)}" for cut in cuts}
    values = compute_metrics(predictions, names.values())
    ends = intervals(predictions, list(names.values()))
    of_query = measure_queries(predictions, [metric])[:, 0]
    counts, edges = np.histogram(of_query[~np.isnan(of_query)], _SPREAD_BINS, (0.0, 1.0))
    return Curves(
        by_cut=[[float(cut), values[name], *ends[name]] for cut, name in names.items()],
        spread=[
            [float(low), float(high), float(count)]
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
    )


def _regression_curves(y: Floats, scores: Floats) -> Curves:
    picked = np.linspace(0, len(y) - 1, min(len(y), _SCATTERED)).astype(np.int64)
    errors = scores - y
    return Curves(
        scatter=[[float(y[row]), float(scores[row])] for row in picked],
        quantiles=[[share, float(np.quantile(errors, share))] for share in _QUANTILES],
    )


def _count_confusions(table: Integers) -> Curves:
    """Return a table of rows by true and by chosen class, or of many classes the mistakes."""
    if len(table) <= _MOST_CLASSES:
        return Curves(confusion=table.tolist())
    return Curves(confused=_frequent_mistakes(table))


def _judge_classes(table: Integers) -> list[list[float]]:
    """Compute rows, precision, recall and F1 of each class; a ratio of nothing is 0.

    >>> _judge_classes(np.array([[3, 1], [0, 0]]))
    [[4.0, 1.0, 0.75, 0.857...], [0.0, 0.0, 0.0, 0.0]]
    """
    right = np.diag(table).astype(np.float64)
    rows = table.sum(axis=1)
    chosen = table.sum(axis=0)
    precision = right / np.maximum(chosen, 1)
    recall = right / np.maximum(rows, 1)
    f1 = 2 * right / np.maximum(rows + chosen, 1)
    judged: list[list[float]] = np.stack([rows, precision, recall, f1], axis=1).tolist()
    return judged


def _frequent_mistakes(table: Integers) -> list[list[int]]:
    """Find the pairs of classes that are confused most often.

    Each is: true class, chosen class, rows, rows of the true class.
    """
    wrong = table - np.diag(np.diag(table))
    most = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    true_classes, chosen_classes = np.unravel_index(most, table.shape)
    mistakes = []
    for true, chosen in zip(true_classes.tolist(), chosen_classes.tolist(), strict=True):
        rows = int(wrong[true, chosen])
        if rows:
            mistakes.append([true, chosen, rows, int(table[true].sum())])
    return mistakes


def _calibration(y: Floats, scores: Floats) -> list[list[float]]:
    """Return mean prediction, share of events, rows, and the interval of the share, by bin."""
    bins = []
    for rows in np.array_split(np.argsort(scores, kind="stable"), min(_BINS, len(y))):
        low, high = wilson(float(y[rows].sum()), len(rows))
        bins.append([float(scores[rows].mean()), float(y[rows].mean()), len(rows), low, high])
    return bins


def _thin_out(x: Floats, y: Floats) -> list[list[float]]:
    """Pick at most `_POINTS` points, spread evenly along the curve's own length.

    >>> _thin_out(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    targets = np.linspace(0, length[-1], _POINTS)
    picked = np.unique(np.searchsorted(length, targets).clip(0, len(x) - 1))
    return [[round(float(x[i]), 5), round(float(y[i]), 5)] for i in picked]
