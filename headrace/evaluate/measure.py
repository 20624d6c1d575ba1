"""Metrics of predictions, to be had for any weights of the rows; and which of two values is the better one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import Ranked, Sums
from headrace.evaluate.metrics import FORMULAS
from headrace.evaluate.predictions import Predictions
from headrace.evaluate.ranking import Ranking
from headrace.spec import METRICS, task_metrics


def higher_is_better(metric: str) -> bool:
    """The direction of a metric.

    >>> higher_is_better("roc_auc"), higher_is_better("rmse")
    (True, False)
    """
    return METRICS[metric].direction != "lower"


def cost(metric: str, value: float) -> float:
    """A number that is smaller where the value is better; a calibration ratio is best at 1.

    >>> cost("roc_auc", 0.75), cost("rmse", 2.0), cost("calibration_ratio", 1.0)
    (-0.75, 2.0, 0.0)
    """
    if METRICS[metric].direction == "one":
        return abs(float(np.log(value))) if value > 0 else float("inf")
    return -value if higher_is_better(metric) else value


def is_better(metric: str, a: float, b: float) -> bool:
    """Whether `a` beats `b`; nothing beats where either is NaN."""
    return cost(metric, a) < cost(metric, b)


class Measure:
    """The metrics of some predictions, to be had for any weights of the rows.

    `names` are the metrics (all of the task's if left out). Values equal scikit-learn's where it
    has the metric.

    >>> predictions = Predictions("binary", np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.1]))
    >>> measure = Measure(predictions, ["roc_auc", "recall"])
    >>> measure(np.ones(3))
    {'roc_auc': 0.5, 'recall': 0.5}
    """

    def __init__(self, predictions: Predictions, names: list[str] | None = None) -> None:
        self.names = [
            name for name in task_metrics(predictions.task) if names is None or name in names
        ]
        self.rows = len(predictions)
        self._values: list[tuple[str, Callable[[Floats, float], float], int, slice]] = []
        self._columns: list[Any] = [
            np.empty((self.rows, 0))
        ]  # all dense ones together, then the sparse ones
        self._sum([(name, FORMULAS[name]) for name in self.names], predictions)

        self._ranked = [
            (name, formula) for name in self.names if isinstance(formula := FORMULAS[name], Ranked)
        ]
        self._ranking = Ranking(predictions.y, predictions.scores) if self._ranked else None

    def _sum(self, formulas: list[tuple[str, Sums | Ranked]], predictions: Predictions) -> None:
        """Makes the columns that are summed, each once, whatever the number of metrics that need it."""
        y, scores, decided = predictions.y, predictions.scores, predictions.decided
        dense: list[Floats] = []
        width = 0
        places: dict[Any, tuple[int, slice]] = {}
        for name, formula in formulas:
            if not isinstance(formula, Sums):
                continue
            if formula.columns not in places:
                columns = formula.columns(y, scores, decided)
                if isinstance(columns, np.ndarray):
                    dense.append(columns)
                    places[formula.columns] = 0, slice(width, width + columns.shape[1])
                    width += columns.shape[1]
                else:
                    places[formula.columns] = len(self._columns), slice(None)
                    self._columns.append(columns)
            self._values.append((name, formula.value, *places[formula.columns]))
        if dense:
            self._columns[0] = np.hstack(dense)

    def __call__(self, weight: Floats) -> dict[str, float]:
        """The metrics where each row counts `weight (N,)`; one that is not defined is NaN."""
        sums = [weight @ columns for columns in self._columns]
        total = float(weight.sum())
        values = {name: value(sums[block][at], total) for name, value, block, at in self._values}
        if self._ranking is not None:
            values |= {name: formula.value(self._ranking, weight) for name, formula in self._ranked}
        return {name: values[name] for name in self.names}


def compute_metrics(predictions: Predictions) -> dict[str, float]:
    """All metrics of the task.

    >>> round(compute_metrics(Predictions("regression", np.array([1.0, 2.0]), np.array([1.0, 4.0])))["rmse"], 3)
    1.414
    """
    return Measure(predictions)(predictions.weights)


def compute_metric(predictions: Predictions, name: str) -> float:
    """One metric."""
    return Measure(predictions, [name])(predictions.weights)[name]
