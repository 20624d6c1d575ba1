"""The status of a rollout: what `headrace status`, the service and the page show."""

from typing import Any

from msgspec import Struct, structs

from headrace.clock import to_text
from headrace.errors import Finding
from headrace.loop.judge import Judge
from headrace.loop.shadow_evidence import ShadowStatus
from headrace.rollout import Evidence, judge
from headrace.rollout.evidence import MISMATCH_ALPHA, GuardResult, Interval, MetricResult


class ArmStatus(Struct, frozen=True):
    """An arm: its version, its share, its units, and how many of them have closed."""

    arm: str
    version: int
    share: float
    units: int
    closed: int


class MetricStatus(Struct, frozen=True):
    """A metric of an arm beside the champion's; ends of intervals are null where nothing bounds.

    `asymptotic` is the lift of a mean as a ratio of sums: by the delta method, for one look alone.
    """

    metric: str
    role: str
    arm: str
    value: float | None
    champion: float | None
    effect: tuple[float | None, float | None, float | None]
    lift: tuple[float | None, float | None, float | None]
    shown: bool
    asymptotic: tuple[float | None, float | None, float | None] | None = None


class VerdictStatus(Struct, frozen=True, rename={"from_": "from"}):
    """What to do now, in a sentence, and when the next verdict is expected."""

    action: str
    say: str
    from_: str | None = None
    to: str | None = None


class Status(Struct, frozen=True):
    """The status of a system's rollout; without one, `rollout` is null."""

    name: str
    rollout: str | None
    stage: str | None
    phase: int | None
    since: str | None
    arms: list[ArmStatus]
    metrics: list[MetricStatus]
    guards: list[GuardResult]
    mismatch: dict[str, Any] | None
    counts: dict[str, int]
    verdict: VerdictStatus
    shadow: ShadowStatus | None = None
    findings: list[Finding] = []

    @classmethod
    def of_nothing(cls, name: str) -> "Status":
        """Return the status of a system without a live rollout."""
        verdict = VerdictStatus("wait", "no rollout is live")
        return cls(name, None, None, None, None, [], [], [], None, {}, verdict)


def describe(judging: Judge, evidence: Evidence, now_us: int) -> Status:
    """Describe a rollout by the evidence about it."""
    rollout = judging.rollout
    phase = rollout.phase
    verdict = judge(rollout, evidence, now_us)
    counts = judging.reader.counts
    unassigned = judging.service.phases[phase.number].unassigned
    return Status(
        name=rollout.name,
        rollout=f"{rollout.name}@{rollout.challenger} against {rollout.name}@{rollout.champion}",
        stage=phase.stage,
        phase=phase.number,
        since=to_text(phase.since_us),
        arms=_describe_arms(judging),
        metrics=[
            MetricStatus(
                one.metric,
                one.role,
                one.arm,
                one.value,
                one.champion,
                _ends(one.effect),
                _ends(one.lift),
                one.shown,
                _find_ratio(judging, one),
            )
            for one in evidence.metrics
        ],
        guards=evidence.guards,
        mismatch=None if evidence.mismatch is None else structs.asdict(evidence.mismatch),
        counts={
            "orphan": sum(counts.orphans.values()),
            "late": counts.late,
            "clipped": counts.clipped,
            "unassigned": unassigned,
        },
        verdict=VerdictStatus(
            verdict.action, verdict.say, _moment(verdict.from_us), _moment(verdict.to_us)
        ),
        shadow=None if judging.shadow is None else judging.shadow.status(),
        findings=_find(judging, evidence),
    )


def _find(judging: Judge, evidence: Evidence) -> list[Finding]:
    """Find what makes a comparison doubtful, or keeps it from being one."""
    findings = []
    unit = judging.rollout.spec.unit
    counts = judging.service.phases[judging.rollout.phase.number]
    rows = sum(arm.rows for arm in counts.arms.values()) + counts.unassigned
    if counts.unassigned and unit is not None:
        share = counts.unassigned / rows
        findings.append(
            Finding(
                "rollout.unit_missing",
                [unit],
                "error" if evidence.lacking_units else "warning",
                f"{share:.1%} of the rows bring no unit: the champion answers them, unjudged",
                {"rows": counts.unassigned, "share": share},
            )
        )
    mismatch = evidence.mismatch
    if mismatch is not None and mismatch.p < MISMATCH_ALPHA:
        message = f"the arms are not as often as they were set (p = {mismatch.p:.2g})"
        findings.append(Finding("rollout.mismatch", [], "error", message, structs.asdict(mismatch)))
    orphans = judging.reader.counts.orphans
    if orphans:
        total = sum(orphans.values())
        message = f"{total} outcomes are of predictions that were never logged"
        findings.append(Finding("rollout.orphans", [], "warning", message, dict(orphans)))
    for metric, arm in judging.list_arrivals():
        message = f"outcomes of {metric} arrive more, or less, often in the arm {arm}"
        findings.append(Finding("rollout.arrival", [metric], "error", message, {"arm": arm}))
    return findings


def _describe_arms(judging: Judge) -> list[ArmStatus]:
    phase = judging.rollout.phase
    units = judging.reader.units.get(phase.number)
    arms = []
    for at, arm in enumerate(phase.arms):
        exposed = 0
        closed = 0
        if units is not None:
            exposed = int(units.exposed[at]) if at < len(units.exposed) else 0
            closed = units.count_closed(at)
        arms.append(ArmStatus(arm.name, arm.version, arm.share, exposed, closed))
    return arms


def _find_ratio(
    judging: Judge, metric: MetricResult
) -> tuple[float | None, float | None, float | None] | None:
    found = judging.find_ratio(metric.metric, metric.arm)
    return None if found is None else _ends(found)


def _ends(interval: Interval) -> tuple[float | None, float | None, float | None]:
    return interval.low, interval.point, interval.high


def _moment(us: int | None) -> str | None:
    return None if us is None else to_text(us)
