"""Bets on scores: the wealth of a gambler who believes that an effect is beyond a bound.

A unit `i` that was drawn for the challenger with probability `p_a`, for the champion with `p_c`,
has the value `Y` in [0, 1], and had the forecast `f` before it was drawn. Its score, for a lift `l`
that is put to the test, is

    S = (Y - (1 + l) f) / p_a           in the challenger's arm
    S = -(1 + l) (Y - f) / p_c          in the champion's arm
    S = 0                               in any other arm

Where the challenger's mean is `(1 + l)` times the champion's, S has the mean 0, whatever `f` is. So
a gambler whose stake is a constant share `b` of the wealth, at most `CAP / B` for scores of at
least `-B`, has the wealth

    W = prod(1 + b S)

and no strategy makes it exceed 1/alpha at any time with a probability above alpha (Ville). The
wealth of many gamblers, weighed, is a wealth as well: half of it bets on the planned effect, the
rest on stakes of every size (Waudby-Smith and Ramdas 2023, https://doi.org/10.1093/jrsssb/qkad009).
For an effect `m` in the place of a lift, the score is that of the lift 0, minus `m`.

As the stakes are constant, the order of scores does not matter: only how often each was counted.
"""

from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

from headrace.arrays import Floats, Integers

Side = Literal["above", "below"]
"""Whether the effect is believed to be above a bound, or below it."""
CHAMPION, CHALLENGER, OTHER = 0, 1, 2
"""The arms as a comparison of two knows them."""
CAP = 0.9
"""A gambler never stakes more than this share of what can be lost at once."""
STAKES = 2.0 ** -np.arange(20)
"""The stakes of the gamblers who know nothing of the plan."""


class Cells(Struct, frozen=True):
    """Scores that were counted: `(N,)` each.

    `arm` is `CHAMPION`, `CHALLENGER` or `OTHER`; `propensity` that of the own arm; `forecast` and
    `value` are in [0, 1]; `stake` is the one for the planned effect; `count` is how often.
    """

    arm: Integers
    propensity: Floats
    forecast: Floats
    value: Floats
    stake: Floats
    count: Floats


class Odds(NamedTuple):
    """The least propensities that a unit can have in the two arms: they bound its score."""

    champion: float
    challenger: float


def score(cells: Cells, lift: float) -> Floats:
    """Return the score of each cell `(N,)` for a lift."""
    expected = (1 + lift) * cells.forecast
    challenger = cells.value - expected
    champion = expected - (1 + lift) * cells.value
    own = np.where(cells.arm == CHALLENGER, challenger, champion)
    return np.where(cells.arm == OTHER, 0.0, own / cells.propensity)


def log_growth(
    cells: Cells, odds: Odds, side: Side, lift: float = 0.0, effect: float = 0.0
) -> Floats:
    """Return the logarithm of what each gambler `(G,)` multiplies by for each cell: `(G, N)`.

    The first gambler bets on the planned effect.
    """
    sign = 1.0 if side == "above" else -1.0
    gain = sign * (score(cells, lift) - effect)
    limit = CAP / np.maximum(_largest_loss(cells.forecast, odds, side, lift) + sign * effect, 1e-9)
    planned = np.minimum(cells.stake, limit) * gain
    others = np.minimum(STAKES[:, None], limit) * gain
    growth: Floats = np.log1p(np.vstack([planned, others]))
    return growth


def _largest_loss(forecast: Floats, odds: Odds, side: Side, lift: float) -> Floats:
    """Return how much a unit with a forecast can take from a gambler who staked 1."""
    expected = (1 + lift) * forecast
    if side == "above":
        challenger, champion = expected, (1 + lift) - expected
    else:
        challenger, champion = 1 - expected, expected
    return np.maximum(challenger / odds.challenger, champion / odds.champion)


def pool(logs: Floats) -> Floats:
    """Pool the log wealth of all gamblers `(G, …)`: half of the capital was the first one's."""
    shares = np.full(len(logs), 0.5 / (len(logs) - 1))
    shares[0] = 0.5
    top = logs.max(axis=0)
    weights = shares.reshape(-1, *([1] * (logs.ndim - 1)))
    pooled: Floats = top + np.log((weights * np.exp(logs - top)).sum(axis=0))
    return pooled


def log_wealth(
    cells: Cells, odds: Odds, side: Side, lift: float = 0.0, effect: float = 0.0
) -> float:
    """Return the logarithm of the pooled wealth after all cells; 0 before the first."""
    if not len(cells.count):
        return 0.0
    logs = log_growth(cells, odds, side, lift, effect) @ cells.count
    return float(pool(logs))


def log_wealth_path(
    cells: Cells, odds: Odds, side: Side, lift: float = 0.0, effect: float = 0.0
) -> Floats:
    """Return the logarithm of the pooled wealth after each of `N` cells, in their order: `(N,)`."""
    growth = log_growth(cells, odds, side, lift, effect) * cells.count
    return pool(np.cumsum(growth, axis=1))
