"""Judge guards: rates of the challenger against the champion's at the same time, with a margin.

`errors` and `unread` count rows on which the challenger failed and the champion, asked in its
place, did not: so they are its own failures, whoever sends the rows. `slow` and `imputed` are
compared by second: one difference of two rates, in which cancels what hits both arms at once.
"""

from typing import Literal, NamedTuple

import numpy as np

from headrace.arrays import Floats
from headrace.rollout.statistics.wealth import STAKES, pool

Judgement = Literal["beyond", "within", "open"]
_CAP = 0.9


class Rows(NamedTuple):
    """How many rows an arm answered, and how many of them failed."""

    rows: int
    failed: int


def judge_rows(rows: Rows, margin: float, alpha: float) -> Judgement:
    """Judge the rate of rows that failed against a margin; `alpha` for each side.

    >>> judge_rows(Rows(20, 20), 0.001, 0.05), judge_rows(Rows(5_000, 0), 0.001, 0.05)
    ('beyond', 'within')
    """
    counts = np.array([rows.failed, rows.rows - rows.failed], dtype=np.float64)
    return judge_seconds(np.array([1.0, 0.0]), counts, margin, alpha)


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
