"""How much a model relies on a column: how much worse it predicts when the column's values are dealt out anew.

Breiman (2001), "Random forests", section 10. Columns that say the same share their importance: each can stand in for
the other.
"""

from collections.abc import Callable

import numpy as np
import polars as pl

from millrace.evaluate.metrics import Measured, Vector, cost
from millrace.spec import Task

_MOST_ROWS, _LEAST_ROWS, _MOST_PREDICTIONS = 3_000, 200, 400_000


def importances(
    predict: Callable[[pl.DataFrame], Vector],
    frame: pl.DataFrame,
    columns: list[str],
    task: Task,
    metric: str,
    y: Vector,
    weight: Vector | None,
    cut: float,
    seed: int,
) -> dict[str, float]:
    """How much worse the metric becomes for each column, the most important first.

    Parameters: `predict`, rows to scores; `frame (N rows)` with their targets `y (N,)`, of which as many are used as
    400,000 predictions allow, 200 at least; `columns`, those to deal out anew.
    """
    chance = np.random.default_rng(seed)
    rows = int(np.clip(_MOST_PREDICTIONS // max(len(columns), 1), _LEAST_ROWS, _MOST_ROWS))
    if len(y) > rows:
        some = np.sort(chance.choice(len(y), rows, replace=False))
        frame, y, weight = frame[some], y[some], None if weight is None else weight[some]
    ones = np.ones(len(y)) if weight is None else weight

    def costs(given: pl.DataFrame) -> float:
        return cost(metric, Measured(task, y, predict(given), [metric], cut)(ones)[metric])

    before = costs(frame)
    found = {}
    for name in columns:
        dealt = frame[name].gather(chance.permutation(frame.height))
        found[name] = costs(frame.with_columns(dealt)) - before
    return dict(sorted(found.items(), key=lambda item: -item[1]))
