"""The page of a rollout: verdict, sequences over time, arms, guards and the journal, one file."""

from pathlib import Path

from msgspec import Struct, structs

from headrace import report, spec
from headrace.clock import SYSTEM, Clock, from_text
from headrace.errors import InputError
from headrace.loop.judge import Judge
from headrace.loop.rollout import find_task
from headrace.loop.status import Status, VerdictStatus, describe
from headrace.registry import Decision, history
from headrace.rollout import Rollout
from headrace.rollout.evidence import MetricResult
from headrace.spec import RolloutMetric, System
from headrace.tables import atomic_file

_STEPS = 60
_ENDS = ("stop", "promote")


class Moment(Struct, frozen=True):
    """The metrics of a rollout at one time, in microseconds."""

    at_us: int
    metrics: list[MetricResult]


class RolloutPage(Struct, frozen=True):
    """What the page of a rollout shows; `ended` is the decision that ended it."""

    status: Status
    metrics: list[RolloutMetric]
    moments: list[Moment]
    decisions: list[Decision]
    ended: Decision | None


def write_page(file: str | Path, folder: str | Path = ".", clock: Clock = SYSTEM) -> Path:
    """Write the page of the live rollout of a system, or of its last one.

    Raises `InputError` where there was none yet.
    """
    system = spec.load(folder)
    page = read_page(system, clock)
    target = Path(file)
    with atomic_file(target) as draft:
        draft.write_text(report.render_rollout(page), encoding="utf-8")
    return target


def read_page(system: System, clock: Clock = SYSTEM) -> RolloutPage:
    """Read what the page of the last rollout shows, from the journal and the logs."""
    decisions = _of_last_rollout(history(system.name, system.root))
    if not decisions:
        do = "a challenger starts one, or `headrace rollout start`"
        raise InputError("status --page", f"{system.name} had no rollout yet", "one", do)
    rollout = next(one.rollout for one in reversed(decisions) if one.rollout is not None)
    ended = decisions[-1] if decisions[-1].rollout is None else None
    until_us = clock.now_us() if ended is None else from_text(ended.at)
    moments, status = _trace(system, rollout, until_us, clock)
    if ended is not None:
        action = "ship" if ended.action == "promote" else "stop"
        verdict = VerdictStatus(action, f"{action}: {ended.why}")
        status = structs.replace(status, verdict=verdict)
    return RolloutPage(status, list(rollout.spec.metrics), moments, decisions, ended)


def _of_last_rollout(decisions: list[Decision]) -> list[Decision]:
    """Return the decisions about the last rollout, from its start to its end."""
    starts = [at for at, one in enumerate(decisions) if one.action == "start"]
    if not starts:
        return []
    own: list[Decision] = []
    for one in decisions[starts[-1] :]:
        if one.rollout is None and one.by != "rollout" and one.action not in _ENDS:
            continue
        own.append(one)
        if one.rollout is None and one.action in _ENDS:
            break
    return own


def _trace(
    system: System, rollout: Rollout, until_us: int, clock: Clock
) -> tuple[list[Moment], Status]:
    """Judge the last phase of a rollout as it was known at times from its beginning to its end."""
    judge = Judge(system, rollout, find_task(system, rollout.champion), clock)
    latest_us = judge.read_logs()
    since_us = rollout.phase.since_us
    moments = []
    for step in range(1, _STEPS + 1):
        at_us = since_us + (until_us - since_us) * step // _STEPS
        judge.close(min(at_us, latest_us))
        evidence = judge.gather(rollout.champion, None, at_us)
        moments.append(Moment(at_us, evidence.metrics))
    return moments, describe(judge, evidence, until_us)
