"""The stages of a rollout: one pure step from what is known to what is decided.

shadow ──> canary 1 % ──> 5 % ──> 20 % ──> test ──> champion
   └──────────┴─────────────┴───────┴───────┴─────> stop: harm, a guard, a crash, no difference
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import structs

from headrace.rollout.evidence import (
    MISMATCH_ALPHA,
    Evidence,
    GuardResult,
    MetricResult,
    RolloutDecision,
    Verdict,
)
from headrace.rollout.state import Plan, Rollout, advance, begin, drop_arm
from headrace.spec import parse_duration_us

_CANARY_GUARDS = ("errors", "unread")
"""The guards that must be shown to be within their margins before more units get the challenger."""
_MOST_EARLY_US = 60 * 10**6
_US_PER_S = 1_000_000


def step(
    plan: Plan, rollout: Rollout | None, evidence: Evidence, now_us: int
) -> tuple[Rollout | None, RolloutDecision | None]:
    """Decide about a rollout: return it as it is from then on, and the decision if there is one.

    Without a rollout, a challenger that waits begins one.
    """
    decision = _decide(plan, rollout, evidence, now_us)
    return (rollout if decision is None else decision.after), decision


def _decide(
    plan: Plan, rollout: Rollout | None, evidence: Evidence, now_us: int
) -> RolloutDecision | None:
    if rollout is None:
        return _start(plan, evidence, now_us)
    if evidence.champion != rollout.champion:
        why = f"superseded: version {evidence.champion} became champion by hand"
        return _stop(rollout, why)
    verdict = judge(rollout, evidence, now_us)
    # The journal has a column for the action; the sentence begins with it.
    why = verdict.say.partition(": ")[2]
    if verdict.action == "stop":
        return _stop_arm(rollout, why, evidence)
    if rollout.paused is not None:
        return None
    if verdict.action == "pause":
        paused = structs.replace(rollout, paused=verdict.say)
        return RolloutDecision("pause", rollout.challenger, why, paused, list_results(evidence))
    if verdict.action == "ship" and not rollout.aa:
        return _go_on(rollout, why, evidence, now_us)
    return None


def _start(plan: Plan, evidence: Evidence, now_us: int) -> RolloutDecision | None:
    if evidence.waiting is None or evidence.waiting == evidence.champion:
        return None
    versions = (evidence.champion, evidence.waiting)
    rollout = begin(plan, versions, now_us)
    why = f"version {evidence.waiting} against champion {evidence.champion}: {rollout.stage}"
    return RolloutDecision("start", evidence.waiting, why, rollout)


def _stop(rollout: Rollout, why: str, evidence: Evidence | None = None) -> RolloutDecision:
    results = [] if evidence is None else list_results(evidence)
    return RolloutDecision("stop", rollout.challenger, why, None, results)


def _stop_arm(rollout: Rollout, why: str, evidence: Evidence) -> RolloutDecision:
    """Stop a rollout; or drop the arm that did harm, where others go on."""
    harmful = _harmful_arm(evidence)
    others = [arm for arm in rollout.phase.challengers if arm.name != harmful]
    if harmful is None or not others:
        return _stop(rollout, why, evidence)
    version = rollout.phase.arm(harmful).version
    after = drop_arm(rollout, harmful)
    return RolloutDecision(
        "arms", version, f"{harmful} is dropped: {why}", after, list_results(evidence)
    )


def _harmful_arm(evidence: Evidence) -> str | None:
    """Return the arm that a verdict to stop is about; None where it is about all."""
    if evidence.crashed is not None:
        return evidence.crashed
    for guard in evidence.guards:
        if guard.judgement == "beyond":
            return guard.arm
    for metric in evidence.metrics:
        if metric.harm:
            return metric.arm
    return None


def _go_on(rollout: Rollout, why: str, evidence: Evidence, now_us: int) -> RolloutDecision | None:
    """Take the next step or stage; behind the last one, promote, or leave that to a person."""
    results = list_results(evidence)
    following = advance(rollout, now_us)
    if following is not None:
        expected = _expect(rollout, evidence)
        phase = structs.replace(following.phase, expected=expected)
        after = structs.replace(following, phase=phase)
        return RolloutDecision("stage", rollout.challenger, why, after, results)
    if rollout.spec.decide == "ask":
        return None
    version = rollout.phase.arm(find_best_arm(rollout, evidence)).version
    return RolloutDecision("promote", version, why, None, results)


def _expect(rollout: Rollout, evidence: Evidence) -> dict[str, float]:
    """Return the champion's mean of each metric by now, for the forecasts of the next phase."""
    found = {one.metric: one.champion for one in evidence.metrics if one.champion is not None}
    return {**rollout.phase.expected, **found}


def judge(rollout: Rollout, evidence: Evidence, now_us: int) -> Verdict:
    """Return the verdict of the moment, in words."""
    stop = _find_harm(evidence)
    if stop is not None:
        return Verdict("stop", stop)
    if rollout.paused is not None:
        return Verdict("pause", rollout.paused)
    pause = _find_pause(evidence)
    if pause is not None:
        return Verdict("pause", pause)
    if rollout.stage == "shadow":
        return _judge_shadow(rollout, evidence, now_us)
    if rollout.stage == "canary":
        return _judge_canary(rollout, evidence, now_us)
    return _judge_test(rollout, evidence, now_us)


def _find_harm(evidence: Evidence) -> str | None:
    """Return why the rollout has to stop at once, if it has to."""
    if evidence.crashed is not None:
        return f"stop: workers died of {evidence.crashed}, twice within a minute"
    for guard in evidence.guards:
        if guard.judgement == "beyond":
            return f"stop: harm in {guard.guard}: {_compare_rates(guard)}"
    for metric in evidence.metrics:
        if metric.harm:
            return f"stop: harm in {metric.metric}: {describe_metric(metric)}"
    return None


def _find_pause(evidence: Evidence) -> str | None:
    """Return why nothing can be judged, if that is so."""
    mismatch = evidence.mismatch
    if mismatch is not None and mismatch.p < MISMATCH_ALPHA:
        expected = _list_shares(mismatch.expected)
        found = _list_shares(mismatch.found)
        return (
            f"pause: units are in {found} where {expected} was set (p = {mismatch.p:.2g}): "
            "something loses units of one arm, so no difference means anything"
        )
    if evidence.lacking_units:
        return (
            "pause: no request brings a unit, so that every row gets the champion; send the "
            "column of `rollout.unit`, or the header x-headrace-unit"
        )
    return None


def _judge_shadow(rollout: Rollout, evidence: Evidence, now_us: int) -> Verdict:
    spec = rollout.spec
    assert spec.stages.shadow is not None
    ends = rollout.phase.since_us + parse_duration_us(spec.stages.shadow.least)
    if now_us < ends:
        return Verdict("wait", f"keep waiting: the shadow lasts until {_moment(ends)}", ends, ends)
    if not evidence.scored:
        return Verdict("wait", "keep waiting: the shadow has not scored a row yet")
    return Verdict("ship", f"ship: the shadow scored {evidence.scored:,} rows, and shows no harm")


def _judge_canary(rollout: Rollout, evidence: Evidence, now_us: int) -> Verdict:
    spec = rollout.spec
    assert spec.stages.canary is not None
    ends = rollout.phase.since_us + parse_duration_us(spec.stages.canary.least)
    share = f"{spec.stages.canary.shares[rollout.phase.step]:.3g}"
    if now_us < ends:
        say = f"keep waiting: the canary of {share} lasts until {_moment(ends)}"
        return Verdict("wait", say, ends, ends)
    required = [name for name in _CANARY_GUARDS if name in spec.guards]
    within = {one.guard for one in evidence.guards if one.judgement == "within"}
    lacking = [name for name in required if name not in within]
    if lacking:
        rows = 4 / min(spec.guards[name] for name in lacking)
        say = (
            f"keep waiting: {' and '.join(lacking)} are not shown to be within their margins "
            f"yet; that takes some {rows:,.0f} rows of the challenger"
        )
        return Verdict("wait", say)
    return Verdict("ship", f"ship: at {share} errors and unread rows are within their margins")


def _judge_test(rollout: Rollout, evidence: Evidence, now_us: int) -> Verdict:
    spec = rollout.spec
    assert spec.stages.test is not None
    begun = rollout.phase.since_us
    least = begun + parse_duration_us(spec.stages.test.least)
    most = begun + parse_duration_us(spec.stages.test.most)
    best = find_best_arm(rollout, evidence)
    required = {metric.name for metric in spec.goals}
    results = [one for one in evidence.metrics if one.arm == best and one.metric in required]
    shown = {one.metric for one in results if one.shown}
    if now_us >= least and required and shown >= required:
        return Verdict("ship", "ship: " + "; ".join(map(describe_metric, results)))
    if now_us >= least and _all_futile(rollout, evidence):
        futile = next(one for one in evidence.metrics if one.futile)
        say = "stop: no difference of the size that was asked for: "
        return Verdict("stop", say + describe_metric(futile))
    if now_us >= most:
        lacking = ", ".join(sorted(required - shown))
        return Verdict("stop", f"stop: `most` is over, and {lacking} is not shown")
    return _wait(evidence, least, most)


def _wait(evidence: Evidence, least: int, most: int) -> Verdict:
    """Say when a verdict is expected: not before `least`, nor after `most`."""
    forecast = evidence.forecast
    if forecast is None:
        say = f"keep waiting: too little is known to say when; until {_moment(most)} at the latest"
        return Verdict("wait", say, least, most)
    about, early, late = (
        min(max(moment, least), most)
        for moment in (forecast.at_us, forecast.from_us, forecast.to_us)
    )
    say = f"keep waiting, until about {_moment(about)} (from {_moment(early)}, to {_moment(late)})"
    return Verdict("wait", say, early, late)


def _all_futile(rollout: Rollout, evidence: Evidence) -> bool:
    """Say whether the effect that was asked for is ruled out for every challenger."""
    futile = {one.arm for one in evidence.metrics if one.futile}
    arms = {arm.name for arm in rollout.phase.challengers}
    return bool(arms) and futile >= arms


def find_best_arm(rollout: Rollout, evidence: Evidence) -> str:
    """Return the challenger with most that was shown, then with the best first goal."""
    arms = rollout.phase.challengers
    if not arms:
        return rollout.phase.arms[-1].name

    required = {metric.name: metric for metric in rollout.spec.goals}

    def rank(name: str) -> tuple[int, float]:
        results = [one for one in evidence.metrics if one.arm == name and one.metric in required]
        points = [
            (one.lift.point or one.effect.point or 0.0)
            * (-1 if required[one.metric].wants_less else 1)
            for one in results
            if one.role == "goal"
        ]
        return sum(one.shown for one in results), points[0] if points else 0.0

    return max((arm.name for arm in arms), key=rank)


def describe_metric(result: MetricResult) -> str:
    """Describe a metric in words and numbers.

    >>> from headrace.rollout.evidence import Interval
    >>> effect, lift = Interval(0.001, 0.002, 0.003), Interval(0.02, 0.05, 0.08)
    >>> describe_metric(MetricResult("clicks", "goal", "challenger", 0.042, 0.04, effect, lift, 9))
    'clicks 0.042 beside 0.04 (+5.0 %, from +2.0 % to +8.0 %; 9 units)'
    """
    units = f"{result.units:,} units"
    if result.value is None or result.champion is None:
        return f"{result.metric}: nothing is known yet ({units})"
    means = f"{result.metric} {result.value:.3g} beside {result.champion:.3g}"
    if result.lift.point is not None:
        ends = f"from {_percent(result.lift.low)} to {_percent(result.lift.high)}"
        return f"{means} ({_percent(result.lift.point)}, {ends}; {units})"
    effect = result.effect
    ends = f"from {_number(effect.low)} to {_number(effect.high)}"
    return f"{means} ({_number(effect.point)}, {ends}; {units})"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:+.1f} %"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3g}"


def _compare_rates(guard: GuardResult) -> str:
    rates = [0.0 if rate is None else 100 * rate for rate in (guard.value, guard.champion)]
    margin = f"more than the margin of {100 * guard.margin:.3g} %"
    return f"{rates[0]:.3g} % beside {rates[1]:.3g} %, {margin}"


def _list_shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{arm} {share:.4f}" for arm, share in shares.items())


def _moment(us: int) -> str:
    moment = datetime.fromtimestamp(us / _US_PER_S, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def list_results(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the evidence as results of gates, for the journal.

    Each has `gate`, `value`, `bound`, `passed`, `why` and, for a metric, its `interval`.
    """
    results: list[dict[str, Any]] = []
    for guard in evidence.guards:
        results.append(
            {
                "gate": f"{guard.guard} of {guard.arm} within {guard.margin:g}",
                "value": guard.value,
                "bound": guard.champion,
                "passed": guard.judgement != "beyond",
                "why": f"{_compare_rates(guard)}: {guard.judgement}"
                if guard.judgement == "beyond"
                else guard.judgement,
            }
        )
    for metric in evidence.metrics:
        interval = metric.lift if metric.lift.point is not None else metric.effect
        results.append(
            {
                "gate": f"{metric.metric} of {metric.arm} ({metric.role})",
                "value": metric.value,
                "bound": metric.champion,
                "passed": metric.shown or (metric.role == "watch" and not metric.harm),
                "why": describe_metric(metric),
                "interval": [interval.low, interval.high],
            }
        )
    if evidence.mismatch is not None:
        results.append(
            {
                "gate": f"shares as set (p >= {MISMATCH_ALPHA:g})",
                "value": evidence.mismatch.p,
                "bound": MISMATCH_ALPHA,
                "passed": evidence.mismatch.p >= MISMATCH_ALPHA,
                "why": _list_shares(evidence.mismatch.found),
            }
        )
    plain: list[dict[str, Any]] = msgspec.to_builtins(results)
    return plain
