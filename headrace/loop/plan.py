"""Plans a test by the log's own units: how long it takes, and what it can show.

log ──> units since the first prediction that is logged
          how many are new by when            users return, so that fewer and fewer are new
          what each was worth                  the champion's values
          └─> simulated tests ──> units and date of a verdict, the smallest effect
"""

from pathlib import Path

import numpy as np
import polars as pl
from msgspec import Struct, structs

from headrace import spec
from headrace.arrays import Floats, Integers
from headrace.bundle import read_champion
from headrace.clock import DAY_US, SYSTEM, Clock, to_text
from headrace.errors import InputError, SpecError, nearest
from headrace.log import Cursor, Log, follow
from headrace.loop.rollout import find_task
from headrace.outcomes import Join, JoinedPhase
from headrace.outcomes.reader import ClosedUnits, Reader
from headrace.rollout.state import CHALLENGER, CHAMPION
from headrace.rollout.statistics.look import plan_metric, scale_all, split_alpha, unscale
from headrace.rollout.statistics.plan import (
    Sample,
    choose_most,
    find_smallest_effect,
    simulate_units,
)
from headrace.rollout.statistics.wealth import Odds
from headrace.spec import RolloutMetric, RolloutSpec, System, parse_duration_us

_LEAST_UNITS = 200
_LATE = 0.2


class RolloutPlan(Struct, frozen=True):
    """The plan of a test by one metric; effects are shares of the mean if it is `relative`.

    `units` are those that a verdict takes with the power asked for, and `days` how long that takes;
    null where the longest test does not do. `smallest` is the smallest effect that `most` can show.
    `mean` is the champion's; `units_by_then` how many units a test has closed when `most` is over.
    """

    metric: str
    effect: float
    relative: bool
    power: float
    mean: float
    units: int | None
    days: float | None
    until: str | None
    most_days: float
    units_by_then: int
    smallest: float | None
    say: str


def plan_test(
    folder: str | Path = ".",
    metric: str | None = None,
    effect: float | None = None,
    clock: Clock = SYSTEM,
) -> RolloutPlan:
    """Plan the test of a system by the units in its log.

    Parameters: `metric`, the first goal if left out; `effect`, that of the metric if left out, a
    share of the champion's mean. Raises `InputError` where too little is logged to plan by.
    """
    system = spec.load(folder)
    if system.rollout is None or system.rollout.stages.test is None:
        raise SpecError("rollout.stages.test", "no such stage", "one", "add it to system.yaml")
    chosen = _find_metric(system.rollout, metric)
    wanted = effect if effect is not None else chosen.effect
    if not 0 < wanted < 10:
        raise InputError("--effect", f"{wanted:g}", "a share of the mean above 0, such as 0.05")
    closed, exposed_us = _read_units(system, chosen, clock.now_us())
    values = scale_all(chosen, closed[~np.isnan(closed)])
    if len(values) < _LEAST_UNITS or values.mean() <= 0 or values.var() <= 0:
        found = f"{len(values)} units with outcomes in the log"
        do = "serve the champion and send its outcomes for a while"
        raise InputError("rollout plan", found, f"at least {_LEAST_UNITS} that differ", do)
    return _plan(system, chosen, wanted, Sample(values), exposed_us)


def _find_metric(rollout: RolloutSpec, name: str | None) -> RolloutMetric:
    if name is None:
        goals = [metric for metric in rollout.metrics if metric.role == "goal"]
        return (goals or rollout.metrics)[0]
    known = [metric.name for metric in rollout.metrics]
    if name not in known:
        expected = f"one of: {', '.join(known)}"
        raise InputError("--metric", repr(name), expected, nearest(name, known))
    return rollout.metrics[known.index(name)]


def _read_units(system: System, metric: RolloutMetric, now_us: int) -> tuple[Floats, Integers]:
    """Read the values of all units in the log, and when each was first exposed."""
    assert system.rollout is not None
    join = Join(
        metrics=(metric,),
        within_us=system.outcome_delay_us,
        silent_zero=system.rollout.absent == 0,
        is_unit=system.rollout.unit is not None,
        task=find_task(system, read_champion(system)),
        target=system.goal.target,
    )
    reader = Reader(join)
    reader.begin_phase(JoinedPhase(1, (CHAMPION, CHALLENGER), "", False, 0))
    for table, _ in follow(Log(system.workspace.predictions), Cursor(), judged=True):
        plain = table.with_columns(
            phase=pl.lit(1, pl.Int64), arm=pl.lit(CHAMPION), propensity=pl.lit(1.0)
        )
        known = plain if not join.is_unit else plain.filter(pl.col("unit").is_not_null())
        reader.read_predictions(known)
    for table, _ in follow(Log(system.workspace.outcomes), Cursor(), judged=False):
        reader.read_outcomes(table)
    exposed = np.array(reader.units[1].columns.exposed_us)
    closed: list[ClosedUnits] = reader.close(now_us)
    if not closed:
        return np.zeros(0), exposed
    return np.concatenate([units.value for units in closed]), exposed


def _plan(
    system: System, metric: RolloutMetric, effect: float, sample: Sample, exposed_us: Integers
) -> RolloutPlan:
    rollout = system.rollout
    assert rollout is not None
    test = rollout.stages.test
    assert test is not None
    odds = Odds(test.arms[CHAMPION], test.arms[CHALLENGER])
    challengers = sum(1 for arm, share in test.arms.items() if arm != CHAMPION and share > 0)
    alpha = split_alpha(rollout.alpha, len(rollout.goals), challengers).ship
    arrivals = Arrivals(np.sort(exposed_us))
    delay_us = metric.span_us + system.outcome_delay_us
    most_us = parse_duration_us(test.most)
    by_then = arrivals.count(most_us - delay_us)

    planned = plan_metric(metric, odds, None)
    width = 1.0 if metric.is_relative else metric.range[1] - metric.range[0]
    planned = structs.replace(planned, gap=effect / width)
    most = choose_most(sample, planned, alpha, rollout.power)
    sign = -1.0 if metric.wants_less else 1.0
    taken = simulate_units(sample, planned, sign * planned.gap, alpha, most)
    needed = float(np.quantile(taken, rollout.power, method="higher"))
    smallest = find_smallest_effect(sample, planned, by_then, alpha, rollout.power)
    smallest = None if smallest is None else smallest * width

    units = days = until = None
    if np.isfinite(needed):
        units = int(needed)
        us = arrivals.time_of(units) + delay_us
        days = max(us, parse_duration_us(test.least)) / DAY_US
        until = to_text(int(SYSTEM.now_us() + days * DAY_US), "seconds")
    plan = RolloutPlan(
        metric=metric.name,
        effect=effect,
        relative=metric.is_relative,
        power=rollout.power,
        mean=unscale(metric, float(sample.value.mean())),
        units=units,
        days=days,
        until=until,
        most_days=most_us / DAY_US,
        units_by_then=int(by_then),
        smallest=smallest,
        say="",
    )
    return structs.replace(plan, say=_say(plan))


class Arrivals:
    """When units were new: of those in the log, and on as fast as in the last fifth of it.

    Parameters: `first_us (N,)`, when each unit came first, ascending.
    """

    def __init__(self, first_us: Integers) -> None:
        self._since = (first_us - first_us[0]).astype(np.float64)
        last = float(self._since[-1])
        late = int((self._since > (1 - _LATE) * last).sum())
        self._rate = max(late, 1) / max(_LATE * last, 1.0)

    def count(self, passed_us: float) -> float:
        """Return how many units are new within a time."""
        last = float(self._since[-1])
        if passed_us <= last:
            return float(np.searchsorted(self._since, passed_us, side="right"))
        return len(self._since) + self._rate * (passed_us - last)

    def time_of(self, units: float) -> float:
        """Return within which time so many units are new, in microseconds."""
        count = len(self._since)
        if units <= count:
            return float(self._since[max(int(units) - 1, 0)])
        return float(self._since[-1]) + (units - count) / self._rate


def _describe_days(days: float) -> str:
    """Describe a span of time in its own unit.

    >>> _describe_days(3), _describe_days(0.25), _describe_days(0.001)
    ('3 days', '6 hours', '1.44 minutes')
    """
    for unit, size in (("days", 1.0), ("hours", 24.0), ("minutes", 24.0 * 60)):
        if days * size >= 1:
            return f"{days * size:.3g} {unit}"
    return f"{days * 86_400:.3g} seconds"


def _describe_effect(plan: RolloutPlan, effect: float) -> str:
    return f"{100 * effect:.3g} %" if plan.relative else f"{effect:.3g}"


def _say(plan: RolloutPlan) -> str:
    """Say the plan in a sentence."""
    most = _describe_days(plan.most_days)
    smallest = (
        f"{most} ({plan.units_by_then:,} units) can show {100 * plan.smallest:.2g} %"
        if plan.smallest is not None
        else f"{most} ({plan.units_by_then:,} units) can show no effect at all"
    )
    effect = _describe_effect(plan, plan.effect)
    if plan.units is None or plan.days is None:
        return f"an effect of {effect} takes too many units; {smallest}"
    over = " longer than the test may last" if plan.days > plan.most_days else ""
    return (
        f"an effect of {effect} on {plan.metric} takes some {plan.units:,} units, "
        f"{_describe_days(plan.days)}{over}, with a power of {100 * plan.power:.0f} %; {smallest}"
    )
