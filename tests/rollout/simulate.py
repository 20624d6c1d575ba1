"""Streams of units with a known effect, for the tests of statistics."""

from typing import NamedTuple

import numpy as np

from headrace.arrays import Floats
from headrace.rollout.statistics.compare import Comparison, Plan, Units
from headrace.rollout.statistics.wealth import CHALLENGER, CHAMPION, Cells, Odds, log_wealth_path

ALPHA = 0.05


class Stream(NamedTuple):
    """Units in their order, and the least propensities of champion and challenger."""

    units: Units
    odds: Odds


def draw_stream(
    chance: np.random.Generator,
    count: int,
    rate: float | Floats,
    share: float | Floats = 0.5,
    lift: float = 0.0,
    noise: float = np.nan,
) -> Stream:
    """Draws units with the value 1 at a rate, which is higher by the lift in the challenger's arm.

    `share` is that of the challenger. With `noise` the value is normal instead, around 0.5, and the
    covariate tells all of it but for a normal part with this standard deviation.
    """
    propensity = np.broadcast_to(np.asarray(share, dtype=np.float64), count)
    arm = np.where(chance.random(count) < propensity, CHALLENGER, CHAMPION)
    own = np.where(arm == CHALLENGER, propensity, 1 - propensity)
    factor = np.where(arm == CHALLENGER, 1 + lift, 1.0)
    covariate = np.full(count, np.nan)
    if np.isnan(noise):
        value = (chance.random(count) < rate * factor).astype(np.float64)
    else:
        covariate = np.clip(0.5 + np.sqrt(0.01 - noise**2) * chance.normal(size=count), 0, 1)
        value = np.clip(covariate + noise * chance.normal(size=count), 0, 1) * factor
    at = np.arange(count) * 1000
    key = chance.integers(0, 2**63, count).astype(np.uint64)
    least = Odds(float((1 - propensity).min()), float(propensity.min()))
    return Stream(Units(key, at, at + 1, arm, own, value, covariate), least)


def score_stream(stream: Stream, gap: float = 0.05) -> Cells:
    """The scores of a stream, in their order."""
    plan = Plan(gap, True, (stream.odds.champion, stream.odds.challenger))
    return Comparison(plan).score_each(stream.units)


def first_crossing(path: Floats, alpha: float) -> int | None:
    """After how many units a wealth reaches 1/alpha, None where it never does."""
    above = np.flatnonzero(path >= -np.log(alpha))
    return int(above[0]) + 1 if len(above) else None


def alarms(stream: Stream, gap: float = 0.05) -> bool:
    """Whether any verdict is ever given, looked at after every unit."""
    cells = score_stream(stream, gap)
    paths = (log_wealth_path(cells, stream.odds, side) for side in ("above", "below"))
    return any(first_crossing(path, ALPHA / 2) is not None for path in paths)


def upper_limit(count: int, runs: int) -> float:
    """The upper end of the 95 % interval of a rate (Clopper and Pearson)."""
    from scipy.stats import beta

    return 1.0 if count == runs else float(beta.ppf(0.975, count + 1, runs - count))
