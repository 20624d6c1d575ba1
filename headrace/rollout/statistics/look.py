"""Look at a comparison: is the need of a metric shown, or harm, by now?

To ship, every goal and guard must be shown: each alone may be wrong with the rate alpha / 2, and
all of them together are wrong no more often. To stop for harm, one is enough: so they share the
other half (Schultzberg, Ankargren and Frånberg 2024, https://arxiv.org/abs/2402.11609).
"""

import math

import numpy as np
from msgspec import Struct

from headrace.arrays import Floats
from headrace.rollout.evidence import Interval, MetricResult
from headrace.rollout.statistics.compare import (
    Comparison,
    Plan,
    bound_effect,
    bound_lift,
    mean_of,
)
from headrace.rollout.statistics.wealth import CHALLENGER, CHAMPION, Cells, Odds, Side, log_wealth
from headrace.spec import RolloutMetric


class Rates(Struct, frozen=True):
    """The rates of error of each decision: `ship` of one metric, `harm` of one metric."""

    ship: float
    harm: float


def split_alpha(alpha: float, metrics: int, challengers: int) -> Rates:
    """Split the rate of false verdicts over the two verdicts, the challengers and the metrics.

    >>> split_alpha(0.05, metrics=2, challengers=1)
    Rates(ship=0.025, harm=0.0125)
    """
    each = alpha / 2 / max(challengers, 1)
    return Rates(each, each / max(metrics, 1))


def plan_metric(metric: RolloutMetric, odds: Odds, expected: float | None) -> Plan:
    """Plan a comparison by a metric; `expected` is its mean so far, None where nothing is known."""
    gap = metric.effect if metric.tolerance == 0.0 else metric.margin
    low, high = metric.range
    if not metric.is_relative:
        gap /= high - low
    mean = 0.0 if expected is None else min(max(scale(metric, expected), 0.0), 1.0)
    return Plan(gap, metric.is_relative, (odds.champion, odds.challenger), mean)


def scale(metric: RolloutMetric, value: float) -> float:
    """Scale a value to [0, 1]; a metric that is compared by its lift keeps its zero."""
    low, high = metric.range
    return value / high if metric.is_relative else (value - low) / (high - low)


def scale_all(metric: RolloutMetric, values: Floats) -> Floats:
    """Scale values to [0, 1], and clip those beyond."""
    low, high = metric.range
    scaled = values / high if metric.is_relative else (values - low) / (high - low)
    return np.asarray(np.clip(scaled, 0.0, 1.0))


def unscale(metric: RolloutMetric, value: float) -> float:
    """Return a value in [0, 1] in the unit of the metric."""
    low, high = metric.range
    return value * high if metric.is_relative else low + value * (high - low)


def look(comparison: Comparison, metric: RolloutMetric, arm: str, rates: Rates) -> MetricResult:
    """Judge a metric of an arm beside the champion's, by the units that have closed by now."""
    cells = comparison.cells()
    odds = Odds(*comparison.plan.odds)
    width = unscale(metric, 1.0) - unscale(metric, 0.0)
    effect = bound_effect(cells, odds, rates.ship)
    lift = bound_lift(cells, odds, rates.ship) if metric.is_relative else Interval(None, None, None)
    return MetricResult(
        metric=metric.name,
        role=metric.role,
        arm=arm,
        value=_unscale_mean(metric, mean_of(cells, CHALLENGER)),
        champion=_unscale_mean(metric, mean_of(cells, CHAMPION)),
        effect=_multiply(effect, width),
        lift=lift,
        units=int(cells.count.sum()),
        shown=_is_beyond(cells, odds, metric, "good", rates.ship),
        harm=metric.role != "watch" and _is_beyond(cells, odds, metric, "bad", rates.harm),
        futile=_is_futile(metric, lift, _multiply(effect, width)),
    )


def _is_beyond(
    cells: Cells, odds: Odds, metric: RolloutMetric, direction: str, alpha: float
) -> bool:
    """Say whether the effect is certainly better, or worse, than the metric tolerates."""
    bound = metric.tolerance if metric.wants_less else -metric.tolerance
    is_up = (direction == "good") != metric.wants_less
    side: Side = "above" if is_up else "below"
    if metric.is_relative:
        wealth = log_wealth(cells, odds, side, lift=bound)
    else:
        low, high = metric.range
        wealth = log_wealth(cells, odds, side, effect=bound / (high - low))
    return wealth >= -math.log(alpha)


def _is_futile(metric: RolloutMetric, lift: Interval, effect: Interval) -> bool:
    """Say whether the effect that a goal was planned for is ruled out."""
    if metric.role != "goal" or metric.need != "better":
        return False
    interval = lift if metric.is_relative else effect
    if metric.wants_less:
        return interval.low is not None and interval.low > -metric.effect
    return interval.high is not None and interval.high < metric.effect


def _multiply(interval: Interval, width: float) -> Interval:
    ends = (interval.low, interval.point, interval.high)
    return Interval(*(None if end is None else end * width for end in ends))


def _unscale_mean(metric: RolloutMetric, mean: float | None) -> float | None:
    return None if mean is None else unscale(metric, mean)
