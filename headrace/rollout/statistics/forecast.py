"""When is a verdict expected? From how fast wealth grows where the planned effect is there.

The log wealth of the gambler who bets on the planned effect is a random walk with the drift `g` for
each unit and the variance `2 g`. Its first passage of a level has an inverse Gaussian distribution
(https://en.wikipedia.org/wiki/Inverse_Gaussian_distribution).
"""

import math
from statistics import NormalDist

import numpy as np

from headrace.rollout.evidence import Forecast
from headrace.rollout.statistics.compare import Comparison, mean_of
from headrace.rollout.statistics.wealth import CHAMPION, OTHER, Cells, score

_EARLY, _LATE = 0.1, 0.9
_LEAST_UNITS = 16
_PRECISION = 1e-3
_NORMAL = NormalDist()


def expect_units(comparison: Comparison, alpha: float) -> tuple[float, float, float] | None:
    """Return how many units a verdict takes: about, and in the faster and slower tenth of cases.

    None as long as too little is known.
    """
    growth = find_growth(comparison.cells(), comparison.plan.gap, comparison.plan.relative)
    if comparison.closed < _LEAST_UNITS or growth <= 0:
        return None
    # Half of the capital bets on the planned effect.
    mean = math.log(2 / alpha) / growth
    return mean, find_units(growth, alpha, _EARLY), find_units(growth, alpha, _LATE)


def find_growth(cells: Cells, gap: float, relative: bool) -> float:
    """Return the expected growth of log wealth for each unit where the planned effect is there."""
    counted = np.where(cells.arm == OTHER, 0.0, cells.count)
    total = float(counted.sum())
    if not total:
        return 0.0
    mean = mean_of(cells, CHAMPION) or 0.0
    effect = gap * mean if relative else gap
    squares = float(score(cells, 0.0) ** 2 @ counted) / total
    return effect * effect / (2 * squares) if squares > 0 else 0.0


def find_power(growth: float, units: float, alpha: float) -> float:
    """Return the probability of a verdict within some units: of a first passage.

    The level is that at which half of the capital has earned 1/alpha.
    """
    level = math.log(2 / alpha)
    drift = growth * units
    if drift <= 0:
        return 0.0
    spread = math.sqrt(2 * drift)
    direct = _NORMAL.cdf((drift - level) / spread)
    return direct + math.exp(level) * _NORMAL.cdf(-(drift + level) / spread)


def find_units(growth: float, alpha: float, power: float) -> float:
    """Return within how many units there is a verdict with a probability: by bisection."""
    low, high = 0.0, 1 / growth
    while find_power(growth, high, alpha) < power:
        low, high = high, 2 * high
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        if find_power(growth, middle, alpha) < power:
            low = middle
        else:
            high = middle
    return high


def forecast(comparison: Comparison, alpha: float, since_us: int, now_us: int) -> Forecast | None:
    """Expect the time of a verdict, by the units that have closed since a time."""
    units = expect_units(comparison, alpha)
    if units is None or now_us <= since_us:
        return None
    each_us = (now_us - since_us) / comparison.closed
    about, early, late = (int(since_us + each_us * count) for count in units)
    return Forecast(about, early, late)
