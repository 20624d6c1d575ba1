"""Judges a live rollout by the logs: predictions, outcomes, and what services counted.

    log/predictions, log/outcomes ──> Reader ──> closed units ──> comparisons ──┐
    log/counts ───────────────────> ServiceCounts ──> guards ───────────────────┼──> Evidence
    first exposures ──────────────> mismatch ───────────────────────────────────┘

What it remembers is a cache: read again from the first record of the rollout, the logs give the
same numbers.
"""

import math

import numpy as np
from msgspec import Struct, structs

from headrace.arrays import Floats, Hashes
from headrace.clock import SYSTEM, US_PER_S, Clock
from headrace.log import Cursor, Log, follow
from headrace.loop.bandit import Bandit, make_bandit
from headrace.loop.counts import ArmCounts, PhaseCounts, ServiceCounts
from headrace.loop.covariates import FirstScores, History
from headrace.loop.shadow import MOST_BEHIND_US
from headrace.loop.shadow_evidence import ShadowEvidence
from headrace.outcomes import Join, JoinedPhase, append_watermark, read_watermark
from headrace.outcomes.reader import ClosedUnits, Reader
from headrace.rollout import Arm, Evidence, Phase, Rollout
from headrace.rollout.evidence import (
    MISMATCH_ALPHA,
    Forecast,
    GuardResult,
    Interval,
    MetricResult,
    MismatchResult,
)
from headrace.rollout.state import CHAMPION
from headrace.rollout.statistics.compare import Comparison, Plan, Units
from headrace.rollout.statistics.forecast import forecast
from headrace.rollout.statistics.guards import Rows, judge_rows, judge_seconds
from headrace.rollout.statistics.look import Rates, look, plan_metric, scale_all, split_alpha
from headrace.rollout.statistics.mismatch import find_mismatch
from headrace.rollout.statistics.ratio import RatioSums, compare_ratios
from headrace.rollout.statistics.wealth import CHALLENGER, OTHER, Odds, Side, log_wealth
from headrace.rollout.statistics.wealth import CHAMPION as BASE
from headrace.spec import LOSS, Guardrail, RolloutMetric, System, Task

LAG_US = 2 * US_PER_S
QUIET_US = 60 * US_PER_S
"""Without requests, time goes on so long behind the clock: longer than a prediction waits."""
_LEAST_PROPENSITY = 0.001
_LEAST_SHARE = 1e-9
_GUARD_ALPHA = 0.05
_ARRIVAL_GAP = 0.1
_LEAST_UNASSIGNED = 100


class Cursors(Struct):
    """How far the logs were read."""

    predictions: Cursor = Cursor()
    outcomes: Cursor = Cursor()
    counts: Cursor = Cursor()
    shadow: Cursor = Cursor()


class Judge:
    """The evidence about one rollout, as far as the logs were read.

    Parameters: `task`, that of the system's models, by which a loss is computed.
    """

    def __init__(self, system: System, rollout: Rollout, task: Task, clock: Clock = SYSTEM) -> None:
        spec = rollout.spec
        self.rollout = rollout
        self._clock = clock
        workspace = system.workspace
        self._predictions = Log(workspace.predictions)
        self._outcomes = Log(workspace.outcomes)
        self._counts = Log(workspace.counts)
        self._shadow_log = Log(workspace.shadow)
        begin = self._predictions.find_position(rollout.since_us)
        self._at = Cursors(predictions=Cursor(begin, begin))
        join = Join(
            metrics=tuple(spec.metrics),
            within_us=rollout.within_us,
            silent_zero=spec.absent == 0,
            is_unit=spec.unit is not None,
            task=task,
            target=system.goal.target,
        )
        self.reader = Reader(join, workspace.rollouts)
        self.shadow = None
        if rollout.stage == "shadow":
            self.shadow = ShadowEvidence(rollout, join, workspace.rollouts)
        self._closed_us = 0
        self.service = ServiceCounts()
        self.comparisons: dict[tuple[int, str, str], Comparison] = {}
        self.arrivals: dict[tuple[int, str, str], Comparison] = {}
        self._ratios: dict[tuple[int, str, str], RatioSums] = {}
        self.bandit: Bandit | None = None
        self._system = system
        self._histories: dict[int, History] = {}
        self.first_scores = None
        if spec.covariate == "score" and spec.unit is not None:
            self.first_scores = FirstScores(system, rollout)
        self.follow_rollout(rollout)

    def follow_rollout(self, rollout: Rollout) -> None:
        """Judge the phases of a rollout that has moved on."""
        self.rollout = rollout
        if rollout.stage != "shadow":
            self.shadow = None
        if self.bandit is None or self.bandit.phase != rollout.phase.number:
            self.bandit = make_bandit(rollout)
        for phase in rollout.phases:
            if phase.stage != "shadow":
                self.reader.begin_phase(_join_phase(phase))

    def read(self) -> None:
        """Read what was logged since the last time, and close the units whose time is over.

        Units are closed as the log of predictions is read, a file at a time: so the memory that
        this takes does not grow with the log.
        """
        arrived_us = self._read_further_logs()
        for table, after in follow(self._predictions, self._at.predictions, judged=True):
            self.reader.read_predictions(table)
            self._at.predictions = after
            if self.first_scores is None:
                self.close(min(self.reader.latest_us - LAG_US, arrived_us))
        self._finish(arrived_us)

    def read_logs(self) -> int:
        """Read what was logged since the last time; return up to when units may be closed.

        Nothing that is read later has happened, or arrived, before that time (microseconds).
        """
        arrived_us = self._read_further_logs()
        for table, after in follow(self._predictions, self._at.predictions, judged=True):
            self.reader.read_predictions(table)
            self._at.predictions = after
        if self.first_scores is not None:
            self.first_scores.read()
        return self._find_watermark(arrived_us)

    def _finish(self, arrived_us: int) -> None:
        watermark_us = self._find_watermark(arrived_us)
        if self.first_scores is not None:
            self.first_scores.read()
        elif watermark_us == self._closed_us:
            return  # all that was read is closed up to it
        self.close(watermark_us)

    def _find_watermark(self, arrived_us: int) -> int:
        latest_us = max(self.reader.latest_us - LAG_US, self._clock.now_us() - QUIET_US)
        return min(latest_us, arrived_us)

    def _read_further_logs(self) -> int:
        """Read the logs but that of predictions; return a time before which nothing arrives."""
        arrived_us = read_watermark(self._outcomes, self._clock)
        if arrived_us < self._closed_us:
            # The clock was set back: what comes now has arrived after what was closed.
            append_watermark(self._outcomes, self._closed_us)
            arrived_us = self._closed_us
        if self.shadow is not None:
            for table, after in follow(self._shadow_log, self._at.shadow, judged=False):
                self.shadow.read(table)
                self._at.shadow = after
        self._read_outcomes()
        for table, after in follow(self._counts, self._at.counts, judged=False):
            self.service.read(table)
            self._at.counts = after
        for phase in self.service.phases.values():
            phase.settle(self._clock.now_us(), CHAMPION)
        return arrived_us

    def _read_outcomes(self) -> None:
        for table, after in follow(self._outcomes, self._at.outcomes, judged=False):
            self.reader.read_outcomes(table)
            if self.shadow is not None:
                self.shadow.read_outcomes(table)
            self._at.outcomes = after

    def close(self, watermark_us: int) -> None:
        """Close the units whose time is over before a watermark, and count them."""
        self._closed_us = max(self._closed_us, watermark_us)
        for closed in self.reader.close(watermark_us):
            self._compare(closed)
            if self.bandit is not None:
                self.bandit.learn(closed)
        if self.shadow is not None:
            # Scores come later than predictions, at most by as much as a shadow may be behind.
            self.shadow.close(watermark_us - MOST_BEHIND_US)

    def _compare(self, closed: ClosedUnits) -> None:
        """Count closed units in the comparison of each challenger with the champion."""
        phase = next(one for one in self.rollout.phases if one.number == closed.phase)
        metric = next(one for one in self.rollout.spec.metrics if one.name == closed.metric)
        counts = ~np.isnan(closed.value)
        covariate = self._find_covariate(phase, metric, closed.key)
        champion = [arm.name for arm in phase.arms].index(CHAMPION)
        if metric.value == "mean" and metric.of != LOSS:
            self._add_ratios(phase, metric, closed)
        for at, arm in enumerate(phase.arms):
            if at == champion:
                continue
            role = np.full(len(closed.arm), OTHER)
            role[closed.arm == champion] = BASE
            role[closed.arm == at] = CHALLENGER
            units = Units(
                key=closed.key,
                exposed_us=closed.exposed_us,
                closed_us=closed.closed_us,
                arm=role,
                propensity=closed.propensity,
                value=scale_all(metric, closed.value),
                covariate=covariate,
            )
            self.find_comparison(phase, arm, metric).add(units.select(counts))
            if not self.reader.join.silent_zero:
                arrived = units._replace(value=closed.arrived.astype(np.float64))
                self._find_arrival(phase, arm, metric).add(arrived)

    def _add_ratios(self, phase: Phase, metric: RolloutMetric, closed: ClosedUnits) -> None:
        """Add up values and rows by arm: a mean by unit is a ratio of sums as well."""
        for at, arm in enumerate(phase.arms):
            own = (closed.arm == at) & ~np.isnan(closed.value)
            rows = closed.rows[own].astype(np.float64)
            key = (phase.number, arm.name, metric.name)
            sums = self._ratios.get(key, RatioSums())
            self._ratios[key] = sums.add(closed.value[own] * rows, rows)

    def find_ratio(self, metric: str, arm: str) -> Interval | None:
        """Return the lift of a ratio of sums in this phase; None where none is known yet."""
        number = self.rollout.phase.number
        own = self._ratios.get((number, arm, metric))
        base = self._ratios.get((number, CHAMPION, metric))
        return None if own is None or base is None else compare_ratios(own, base)

    def _find_arrival(self, phase: Phase, arm: Arm, metric: RolloutMetric) -> Comparison:
        """Return the comparison of how often outcomes arrive at all."""
        key = (phase.number, arm.name, metric.name)
        if key not in self.arrivals:
            odds = find_odds(phase, arm)
            plan = Plan(_ARRIVAL_GAP, True, (odds.champion, odds.challenger))
            self.arrivals[key] = Comparison(plan)
        return self.arrivals[key]

    def list_arrivals(self) -> list[tuple[str, str]]:
        """List metrics and arms whose outcomes arrive certainly more, or less, often."""
        needed = -math.log(MISMATCH_ALPHA / 2)
        found = []
        for (phase, arm, metric), comparison in self.arrivals.items():
            odds = Odds(*comparison.plan.odds)
            sides: tuple[Side, Side] = ("above", "below")
            wealth = (log_wealth(comparison.cells(), odds, side) for side in sides)
            if phase == self.rollout.phase.number and max(wealth) >= needed:
                found.append((metric, arm))
        return found

    def _find_covariate(self, phase: Phase, metric: RolloutMetric, keys: Hashes) -> Floats:
        """Return what was known of units before they were drawn, NaN where nothing was."""
        if self.first_scores is not None:
            return self.first_scores.find(phase.number, keys)
        if not self.reader.join.is_unit or self.rollout.spec.covariate != "history":
            return np.full(len(keys), np.nan)
        if phase.number not in self._histories:
            self._histories[phase.number] = History(self._system, self.reader.join, phase)
        return self._histories[phase.number].find(metric, keys)

    def find_comparison(self, phase: Phase, arm: Arm, metric: RolloutMetric) -> Comparison:
        """Return the comparison of an arm with the champion by a metric, new or known."""
        key = (phase.number, arm.name, metric.name)
        if key not in self.comparisons:
            test = self.rollout.spec.stages.test
            odds = find_odds(phase, arm, 0.0 if test is None else test.floor)
            plan = plan_metric(metric, odds, phase.expected.get(metric.name))
            self.comparisons[key] = Comparison(plan)
        return self.comparisons[key]

    def gather(self, champion: int, waiting: int | None, now_us: int) -> Evidence:
        """Gather the evidence about the phase that is live."""
        rollout = self.rollout
        phase = rollout.phase
        # An arm that was dropped has had its part of the rate.
        rates = split_alpha(rollout.spec.alpha, len(rollout.spec.goals), len(phase.arms) - 1)
        if self.shadow is not None and phase.stage == "shadow":
            return Evidence(
                champion=champion,
                waiting=waiting,
                metrics=self.shadow.results(rates.harm),
                scored=self.shadow.counts.scored,
            )
        counts = self.service.phases[phase.number]
        metrics = [
            self._look(phase, arm, metric, rates)
            for arm in phase.challengers
            for metric in rollout.spec.metrics
        ]
        return Evidence(
            champion=champion,
            waiting=waiting,
            metrics=metrics,
            guards=[
                result
                for arm in phase.challengers
                for result in judge_guards(phase, arm, counts, rollout.spec.guards)
            ],
            mismatch=self._find_mismatch(phase),
            lacking_units=_lacks_units(counts),
            forecast=self._forecast(phase, metrics, rates, now_us),
        )

    def _look(self, phase: Phase, arm: Arm, metric: RolloutMetric, rates: Rates) -> MetricResult:
        """Look at a metric of an arm; without a floor a policy earns, and nothing can be shown."""
        result = look(self.find_comparison(phase, arm, metric), metric, arm.name, rates)
        test = self.rollout.spec.stages.test
        if phase.policy != "split" and (test is None or test.floor == 0.0):
            return structs.replace(result, shown=False, harm=False, futile=False)
        return result

    def _find_mismatch(self, phase: Phase) -> MismatchResult | None:
        """Compare first exposures with the shares, where those are fixed."""
        if phase.policy != "split":
            return None
        exposed = self.reader.units[phase.number].exposed
        arms = [(at, arm) for at, arm in enumerate(phase.arms) if not arm.dropped and arm.share]
        total = sum(arm.share for _, arm in arms)
        shares = {arm.name: arm.share / total for _, arm in arms}
        counts = {arm.name: int(exposed[at]) if at < len(exposed) else 0 for at, arm in arms}
        return find_mismatch(shares, counts) if sum(counts.values()) else None

    def _forecast(
        self, phase: Phase, metrics: list[MetricResult], rates: Rates, now_us: int
    ) -> Forecast | None:
        """Expect the verdict of the slowest metric that is not shown yet."""
        forecasts = []
        for result in metrics:
            if result.shown or result.role == "watch":
                continue
            key = (phase.number, result.arm, result.metric)
            found = forecast(self.comparisons[key], rates.ship, phase.since_us, now_us)
            if found is None:
                return None
            forecasts.append(found)
        return max(forecasts, key=lambda one: one.at_us, default=None)


def _join_phase(phase: Phase) -> JoinedPhase:
    return JoinedPhase(
        number=phase.number,
        arms=tuple(arm.name for arm in phase.arms),
        salt=phase.salt,
        new_only=phase.stage == "test",
        since_us=phase.since_us,
    )


def find_odds(phase: Phase, arm: Arm, floor: float = 0.0) -> Odds:
    """Return the least propensities of champion and challenger in a phase."""
    if phase.policy != "split":
        least = max(floor, _LEAST_PROPENSITY)
        return Odds(least, least)
    return Odds(max(phase.arm(CHAMPION).share, _LEAST_SHARE), max(arm.share, _LEAST_SHARE))


def judge_guards(
    phase: Phase, arm: Arm, counts: PhaseCounts, guards: dict[Guardrail, float]
) -> list[GuardResult]:
    """Judge every guard of an arm beside the champion's."""
    own, base = counts.arms[arm.name], counts.arms[CHAMPION]
    results = []
    for guard, margin in guards.items():
        value, champion = _rate(own, guard), _rate(base, guard)
        if guard in ("errors", "unread"):
            rows = Rows(own.rows, min(getattr(own, guard), own.rows))
            judgement = judge_rows(rows, margin, _GUARD_ALPHA)
        else:
            differences, seconds = counts.differences(guard, arm.name)
            judgement = judge_seconds(differences, seconds, margin, _GUARD_ALPHA)
        results.append(GuardResult(guard, arm.name, value, champion, margin, judgement))
    return results


def _rate(counts: ArmCounts, guard: Guardrail) -> float | None:
    of = counts.calls if guard == "slow" else counts.rows
    return getattr(counts, guard) / of if of else None


def _lacks_units(counts: PhaseCounts) -> bool:
    """Say whether requests come, and none of them brings a unit."""
    judged = sum(arm.rows for arm in counts.arms.values())
    return counts.unassigned >= _LEAST_UNASSIGNED and judged == 0
