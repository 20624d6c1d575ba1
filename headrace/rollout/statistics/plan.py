"""Plans a test: how many units a verdict takes, and which effect a number of units can show."""

import math
from typing import NamedTuple

import numpy as np

from headrace.arrays import Floats
from headrace.rollout.statistics.compare import Comparison, Plan, Units
from headrace.rollout.statistics.forecast import find_power
from headrace.rollout.statistics.wealth import CHALLENGER, CHAMPION, Odds, log_wealth_path

RUNS = 400
_SEED = 11
_MOST_UNITS = 400_000
_PRECISION = 0.01


class Sample(NamedTuple):
    """Values of the champion's units `(N,)`, in [0, 1], from which units are drawn."""

    value: Floats


def simulate_units(
    sample: Sample, plan: Plan, effect: float, alpha: float, most: int, runs: int = RUNS
) -> Floats:
    """Simulate how many units a verdict takes where the effect is there: `(runs,)`.

    Parameters: `effect`, a share of the mean, or of the range where the plan is not relative;
    `most`, the units of a simulated test, after which it is undecided (infinite). A negative effect
    is looked for below.
    """
    chance = np.random.default_rng(_SEED)
    odds = Odds(*plan.odds)
    total = odds.champion + odds.challenger
    taken = np.full(runs, np.inf)
    for run in range(runs):
        value = chance.choice(sample.value, most)
        arm = np.where(chance.random(most) < odds.challenger / total, CHALLENGER, CHAMPION)
        moved = shift(value, effect, chance) if plan.relative else np.clip(value + effect, 0, 1)
        value = np.where(arm == CHALLENGER, moved, value)
        at = np.arange(most)
        units = Units(
            key=chance.integers(0, 2**62, most).astype(np.uint64),
            exposed_us=at,
            closed_us=at,
            arm=arm,
            propensity=np.where(arm == CHALLENGER, odds.challenger, odds.champion),
            value=value,
            covariate=np.full(most, np.nan),
        )
        cells = Comparison(plan).score_each(units)
        path = log_wealth_path(cells, odds, "above" if effect > 0 else "below")
        crossed = np.flatnonzero(path >= -math.log(alpha))
        if len(crossed):
            taken[run] = crossed[0] + 1
    return taken


def shift(value: Floats, effect: float, chance: np.random.Generator) -> Floats:
    """Return values whose mean is larger by a share of it; values of 0 and 1 stay such values."""
    if np.isin(value, (0.0, 1.0)).all():
        rate = value.mean()
        if effect < 0:
            return np.where(chance.random(len(value)) < -effect, 0.0, value)
        gain = min(effect * rate / (1 - rate), 1.0) if rate < 1 else 0.0
        return np.where(chance.random(len(value)) < gain, 1.0, value)
    return np.asarray(np.clip(value * (1 + effect), 0.0, 1.0))


def expect_growth(sample: Sample, odds: Odds, effect: float, relative: bool = True) -> float:
    """Return the growth of log wealth for each unit, where an effect is there."""
    mean = float(sample.value.mean()) if relative else 1.0
    weight = 1 / odds.champion + 1 / odds.challenger
    spread = float(sample.value.var())
    return (effect * mean) ** 2 / (2 * spread * weight) if spread > 0 else 0.0


def find_smallest_effect(
    sample: Sample, plan: Plan, units: float, alpha: float, power: float
) -> float | None:
    """Return the smallest effect that is found with a power; None if no effect is."""
    odds = Odds(*plan.odds)
    low, high = 0.0, 10.0 if plan.relative else 1.0
    if find_power(expect_growth(sample, odds, high, plan.relative), units, alpha) < power:
        return None
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        growth = expect_growth(sample, odds, middle, plan.relative)
        if find_power(growth, units, alpha) < power:
            low = middle
        else:
            high = middle
    return high


def choose_most(sample: Sample, plan: Plan, alpha: float, power: float) -> int:
    """Choose how many units a simulated test has: enough for the power, and half as many more."""
    growth = expect_growth(sample, Odds(*plan.odds), plan.gap, plan.relative)
    units = 64.0
    while find_power(growth, units, alpha) < min(power + 0.1, 0.99) and units < _MOST_UNITS:
        units *= 1.25
    return int(min(1.5 * units, _MOST_UNITS))
