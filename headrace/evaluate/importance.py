"""How much a model relies on a column: how much worse it predicts when the column's values are
permuted.

Breiman (2001), "Random forests", section 10. Columns that say the same share their importance: each
can stand in for the other.
"""

from collections.abc import Callable

import numpy as np

from headrace.arrays import Floats, Integers
from headrace.evaluate.measure import compute_metric, cost
from headrace.evaluate.predictions import Predictions

_MOST_ROWS, _LEAST_ROWS, _MOST_PREDICTIONS = 3_000, 200, 400_000
Permuted = Callable[[str, Integers], Floats]
"""Scores of rows in which the values of a column stand in another order."""


def rows_for_importances(rows: int, columns: int, seed: int) -> Integers:
    """Which of so many rows are enough, ascending: as many as 400,000 predictions allow, 200 at least."""
    most = int(np.clip(_MOST_PREDICTIONS // max(columns, 1), _LEAST_ROWS, _MOST_ROWS))
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def importances(
    predictions: Predictions, permuted: Permuted, columns: list[str], metric: str, seed: int
) -> dict[str, float]:
    """How much worse the metric becomes for each column, the most important first.

    Parameters: `predictions`, of the rows as they are; `permuted`, the scores of the same rows with
    a column permuted; `columns`, those to ask for.
    """
    generator = np.random.default_rng(seed)
    before = cost(metric, compute_metric(predictions, metric))
    losses = {}
    for name in columns:
        scores = permuted(name, generator.permutation(len(predictions)))
        after = compute_metric(predictions.with_scores(scores, predictions.threshold), metric)
        losses[name] = cost(metric, after) - before
    return dict(sorted(losses.items(), key=lambda item: -item[1]))
