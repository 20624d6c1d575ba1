"""Judge guards: rates of the challenger against the champion's at the same time, with a margin.

`errors` and `unread` count rows: each row has the score that `wealth` gives a unit, with the value
1 where it failed. `slow` and `imputed` are compared by second: one difference of two rates, in
which cancels what hits both arms at once.
"""

from typing import Literal, NamedTuple

import numpy as np

from headrace.arrays import Floats
from headrace.rollout.statistics.wealth import (
    CHALLENGER,
    CHAMPION,
    STAKES,
    Cells,
    Odds,
    log_wealth,
    pool,
)

Judgement = Literal["beyond", "within", "open"]
_CAP = 0.9


class Rows(NamedTuple):
    """How many rows an arm answered, and how many of them failed."""

    rows: int
    failed: int


def judge_rows(
    challenger: Rows, champion: Rows, odds: Odds, margin: float, alpha: float
) -> Judgement:
    """Judge the rate of rows that failed, by wealth at the margin; `alpha` for each side."""
    cells = _to_cells(challenger, champion, odds)
    needed = -np.log(alpha)
    if log_wealth(cells, odds, "above", effect=margin) >= needed:
        return "beyond"
    if log_wealth(cells, odds, "below", effect=margin) >= needed:
        return "within"
    return "open"


def _to_cells(challenger: Rows, champion: Rows, odds: Odds) -> Cells:
    """Return the counts of rows as cells; they have no forecast, and stakes of every size."""
    arms = [CHALLENGER, CHALLENGER, CHAMPION, CHAMPION]
    counts = [
        challenger.failed,
        challenger.rows - challenger.failed,
        champion.failed,
        champion.rows - champion.failed,
    ]
    propensity = np.where(np.array(arms) == CHALLENGER, odds.challenger, odds.champion)
    return Cells(
        arm=np.array(arms),
        propensity=propensity,
        forecast=np.zeros(4),
        value=np.array([1.0, 0.0, 1.0, 0.0]),
        # Half of the wealth bets all that it may: no failure among few rows shows enough then.
        stake=np.ones(4),
        count=np.array(counts, dtype=np.float64),
    )


def judge_seconds(differences: Floats, counts: Floats, margin: float, alpha: float) -> Judgement:
    """Judge the differences of two rates by second, challenger minus champion, in [-1, 1].

    Parameters: `differences (N,)`, `counts (N,)`, how many seconds had each.
    """
    needed = -np.log(alpha)
    judgements: tuple[tuple[Judgement, float], ...] = (("beyond", 1.0), ("within", -1.0))
    for judgement, sign in judgements:
        gain = sign * (differences - margin)
        stakes = np.minimum(np.concatenate([[1.0], STAKES]), _CAP / (1 + margin))
        logs = np.log1p(stakes[:, None] * gain) @ counts
        if pool(logs) >= needed:
            return judgement
    return "open"
