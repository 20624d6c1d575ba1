"""How much a model relies on a column: how much worse it predicts with the column permuted.

Breiman (2001), "Random forests", section 10. Columns that say the same share their importance: each
can replace the other.
"""

from collections.abc import Callable

import numpy as np

from headrace.arrays import Floats, Integers
from headrace.evaluate.measure import compute_metric, cost
from headrace.evaluate.predictions import Predictions

_MOST_ROWS = 3_000
_LEAST_ROWS = 200
_MOST_PREDICTIONS = 400_000
Permuted = Callable[[str, Integers], Floats]
"""Predicts rows with one column in another order: `permuted(column, order (N,))` `(N,)`."""


def draw_for_importances(predictions: Predictions, columns: int, seed: int) -> Integers:
    """Draw the rows that are enough, ascending.

    As many as 400,000 predictions allow, but at least 200 and at most 3,000.
    """
    most = int(np.clip(_MOST_PREDICTIONS // max(columns, 1), _LEAST_ROWS, _MOST_ROWS))
    return predictions.draw(most, seed)


def importances(
    predictions: Predictions, permuted: Permuted, columns: list[str], metric: str, seed: int
) -> dict[str, float]:
    """Measure how much worse the metric becomes for each column, the most important first.

    Parameters: `predictions`, of the rows as they are; `permuted`, the scores of the same rows with
    a column permuted; `columns`, those to permute.
    """
    generator = np.random.default_rng(seed)
    before = cost(metric, compute_metric(predictions, metric))
    losses = {}
    for name in columns:
        scores = permuted(name, generator.permutation(len(predictions)))
        after = compute_metric(predictions.with_scores(scores, predictions.threshold), metric)
        losses[name] = cost(metric, after) - before
    return dict(sorted(losses.items(), key=lambda item: -item[1]))
