"""How much a model relies on a column: how much worse it predicts when the column's values are dealt out anew.

Breiman (2001), "Random forests", section 10. Columns that say the same share their importance: each can stand in for
the other.
"""

from collections.abc import Callable

import numpy as np

from headrace.arrays import Floats, Integers
from headrace.evaluate.metrics import Measure, cost
from headrace.spec import Task

_MOST_ROWS, _LEAST_ROWS, _MOST_PREDICTIONS = 3_000, 200, 400_000
Dealt = Callable[[str, Integers], Floats]
"""Scores of rows in which the values of a column were dealt out in another order."""


def rows_for_importances(rows: int, columns: int, seed: int) -> Integers:
    """Which of so many rows are enough, ascending: as many as 400,000 predictions allow, 200 at least."""
    most = int(np.clip(_MOST_PREDICTIONS // max(columns, 1), _LEAST_ROWS, _MOST_ROWS))
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def importances(
    scores: Floats,
    dealt: Dealt,
    columns: list[str],
    task: Task,
    metric: str,
    y: Floats,
    weight: Floats | None,
    cut: float,
    seed: int,
) -> dict[str, float]:
    """How much worse the metric becomes for each column, the most important first.

    Parameters: `scores`, of the rows as they are, with their targets `y (N,)`; `dealt`, of the same rows with a column
    dealt out anew; `columns`, those to ask for.
    """
    chance = np.random.default_rng(seed)
    ones = np.ones(len(y)) if weight is None else weight

    def costs(given: Floats) -> float:
        return cost(metric, Measure(task, y, given, [metric], cut)(ones)[metric])

    before = costs(scores)
    found = {name: costs(dealt(name, chance.permutation(len(y)))) - before for name in columns}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
