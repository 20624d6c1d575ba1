"""Metrics of predictions for any weights of their rows, and which of two values is better.

A bootstrap resample is nothing but other weights, so what does not depend on them is computed once.
Nearly every metric is a function of weighted sums over the rows. Their columns lie side by side in
one matrix, and metrics that need the same column share it:

    columns of                     log_loss   precision, recall, f1   brier
    row    y    score  yes (>= ½)    loss     y · yes    yes     y    (p - y)²
    0      0     0.2       0         0.22        0        0      0      0.04
    1      1     0.9       1         0.11        1        1      1      0.01
    2      1     0.1       0         2.30        0        0      1      0.81
                                     ─────────────────────────────────────────
    weight @ columns                 2.63        1        1      2      0.86

    log_loss = 2.63 / 3,  precision = 1 / 1,  recall = 1 / 2,  f1 = 2 · 1 / (1 + 2)

So a resample costs one product of the weights with the matrix, however many metrics there are.
Columns of a task with many classes are sparse, and have a product of their own. Metrics of the
order of rows (`roc_auc`, `average_precision`) share one sort, see `Ranking`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import Ranked, Sums, ratio
from headrace.evaluate.lists import Lists
from headrace.evaluate.metrics import FORMULAS, LIST_FORMULAS
from headrace.evaluate.predictions import Predictions
from headrace.evaluate.ranking import Ranking
from headrace.spec import find_metric, is_lower_better, list_metrics, split_metric
from headrace.tasks import Queries


def higher_is_better(metric: str) -> bool:
    """Say whether a metric is better where it is higher.

    >>> higher_is_better("roc_auc"), higher_is_better("rmse")
    (True, False)
    """
    return not is_lower_better(metric)


def cost(metric: str, value: float) -> float:
    """Return a number that is smaller where the value is better; a calibration ratio is best at 1.

    >>> cost("roc_auc", 0.75), cost("rmse", 2.0), cost("calibration_ratio", 1.0)
    (-0.75, 2.0, 0.0)
    """
    row = find_metric(metric)
    assert row is not None
    if row.direction == "one":
        return abs(float(np.log(value))) if value > 0 else float("inf")
    return -value if higher_is_better(metric) else value


def is_better(metric: str, a: float, b: float) -> bool:
    """Say whether `a` beats `b`; nothing beats where either is NaN."""
    return cost(metric, a) < cost(metric, b)


_SumMetric = tuple[str, Callable[[Floats, float], float], int, slice]
"""A metric of sums, as `(name, value, block, columns)`: `value(sums[block][columns], total)`."""


class Measure:
    """The metrics of some predictions, for any weights of their rows.

    `names` are the metrics (all of the task's if left out). Values equal scikit-learn's where it
    has the metric.

    >>> predictions = Predictions("binary", np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.1]))
    >>> measure = Measure(predictions, ["roc_auc", "recall"])
    >>> measure(np.ones(3))
    {'roc_auc': 0.5, 'recall': 0.5}
    >>> measure(np.array([1.0, 3.0, 1.0]))["recall"]
    0.75
    """

    def __init__(self, predictions: Predictions, names: list[str] | None = None) -> None:
        every = list_metrics(predictions.task)
        self.names = [name for name in every if names is None or name in names]
        self.names += [name for name in names or [] if name not in every]
        self.rows = len(predictions)
        self._of_queries = None
        if predictions.queries is not None:
            self._of_queries = _QueryMeans(predictions, predictions.queries, self.names)
            return

        sums: list[tuple[str, Sums]] = []
        self._ranked: list[tuple[str, Ranked]] = []
        for name in self.names:
            formula = FORMULAS[name]
            if isinstance(formula, Ranked):
                self._ranked.append((name, formula))
            else:
                sums.append((name, formula))

        self._blocks, self._sum_metrics = _lay_columns(sums, predictions)
        self._ranking = Ranking(predictions.y, predictions.scores) if self._ranked else None

    def __call__(self, weight: Floats) -> dict[str, float]:
        """Compute the metrics where each row counts `weight (N,)`.

        A metric that is not defined is NaN.
        """
        if self._of_queries is not None:
            return self._of_queries(weight)
        # Runs once a resample: one product a block, then a few operations on single numbers.
        sums = [weight @ block for block in self._blocks]
        total = float(weight.sum())
        values = {
            name: value(sums[block][at], total) for name, value, block, at in self._sum_metrics
        }
        if self._ranking is not None:
            values |= {name: formula.value(self._ranking, weight) for name, formula in self._ranked}
        return {name: values[name] for name in self.names}


class _QueryMeans:
    """The metrics of a ranking: of each query once, then the mean over queries for any weights.

    A query counts the mean of its rows' weights.
    """

    def __init__(self, predictions: Predictions, queries: Queries, names: list[str]) -> None:
        self._names = names
        self._of_row = queries.of_row
        self._rows = np.bincount(queries.of_row, minlength=queries.count)
        values = measure_queries(predictions, names)
        known = ~np.isnan(values)
        self._known = known.astype(np.float64)
        self._values = np.where(known, values, 0.0)

    def __call__(self, weight: Floats) -> dict[str, float]:
        of_query = np.bincount(self._of_row, weight, len(self._rows)) / self._rows
        sums = of_query @ self._values
        totals = of_query @ self._known
        return {
            name: ratio(float(over), float(under))
            for name, over, under in zip(self._names, sums, totals, strict=True)
        }


def measure_queries(predictions: Predictions, names: list[str]) -> Floats:
    """Compute metrics of each query `(Q, len(names))`; NaN where a query is left out."""
    assert predictions.queries is not None
    lists = Lists(predictions.y, predictions.scores, predictions.queries)
    columns = []
    for name in names:
        formula, cut = split_metric(name)
        columns.append(LIST_FORMULAS[formula](lists, cut))
    return np.column_stack(columns) if columns else np.empty((lists.queries, 0))


def _lay_columns(
    formulas: Sequence[tuple[str, Sums]], predictions: Predictions
) -> tuple[list[Any], list[_SumMetric]]:
    """Compute the columns that are summed, and find each metric's place among them.

    Returns the blocks `(N, C)`, of which the first holds all dense columns and each other one
    sparse matrix; and the metrics. Columns that several metrics need are computed once.
    """
    y = predictions.y
    scores = predictions.scores
    decided = predictions.decided
    dense: list[Floats] = []
    width = 0
    blocks: list[Any] = [np.empty((len(predictions), 0))]
    places: dict[Any, tuple[int, slice]] = {}
    metrics: list[_SumMetric] = []

    for name, formula in formulas:
        if formula.columns not in places:
            columns = formula.columns(y, scores, decided)
            if isinstance(columns, np.ndarray):
                dense.append(columns)
                places[formula.columns] = (0, slice(width, width + columns.shape[1]))
                width += columns.shape[1]
            else:
                places[formula.columns] = (len(blocks), slice(None))
                blocks.append(columns)
        metrics.append((name, formula.value, *places[formula.columns]))

    if dense:
        blocks[0] = np.hstack(dense)
    return blocks, metrics


def compute_metrics(predictions: Predictions, further: Iterable[str] = ()) -> dict[str, float]:
    """Compute the metrics that are shown of the task, and further ones by their names.

    >>> predictions = Predictions("regression", np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> round(compute_metrics(predictions)["rmse"], 3)
    1.414
    """
    names = dict.fromkeys([*list_metrics(predictions.task), *further])
    return Measure(predictions, list(names))(predictions.weights)


def compute_metric(predictions: Predictions, name: str) -> float:
    """Compute one metric."""
    return Measure(predictions, [name])(predictions.weights)[name]
