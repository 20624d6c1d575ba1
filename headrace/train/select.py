"""Candidates predict rows that they were not fitted on; the best, or the average that pays, is
chosen and calibrated.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers
from headrace.clock import SYSTEM
from headrace.errors import Finding, InputError
from headrace.models import FittedMember, calibrate
from headrace.spec import Calibration, Member
from headrace.split import Fold, folds
from headrace.train.calibration import choose_calibration
from headrace.train.ensemble import POOL, average_scores, select_members
from headrace.train.latency import p99_ms
from headrace.train.rows import TrainingData
from headrace.train.search import search
from headrace.train.trial import Candidate, Objective, TrialPlan, Trials
from headrace.train.trial_cache import Memo, no_memo

FOLDS = 5
ENOUGH_VALIDATION_ROWS, ENOUGH_OF_A_CLASS = 2_000, 200
"""With fewer validation rows, or fewer of the rarer class in a binary task, the choice is made on out-of-fold
predictions of train and validation together: the best of many candidates by a few events is the luckiest one."""


class TrialRecord(Struct, frozen=True):
    """What is told of a candidate."""

    member: Member
    value: float
    seconds: float
    origin: str


class Choice(Struct, frozen=True):
    """All candidates in the order of their trial (the baseline first); the members of the model
    that ships with their calibration; its predictions of the judging `rows`; and in words how it
    was chosen.
    """

    candidates: list[TrialRecord]
    members: list[Member]
    calibration: Calibration | None
    scores: Floats
    rows: Integers
    value: float
    method: str
    why: dict[str, str]
    findings: list[Finding]

    def weight_of(self, candidate: TrialRecord) -> float:
        """The share of a candidate in the model that ships; 0 where it has none."""
        return sum(member.weight for member in self.members if _is_of(member, candidate))


def select_model(
    rows: TrainingData, judge: Objective, watch: Callable[[str], None], keep: Memo = no_memo
) -> Choice:
    """Chooses what ships.

    `watch` hears what is being tried, `keep` remembers trials for later runs. Where the spec states
    `models.members`, these are judged and nothing is searched. Raises `InputError` where the rows
    to fit or to judge hold a single class.
    """
    models = rows.system.models
    deadline = SYSTEM.monotonic_s() + models.search.seconds
    plan = _plan(rows)
    y, weight = rows.y[plan.rows], rows.weight_of(plan.rows)
    # Where the time of single rows is bounded every candidate's model is measured, so every one is
    # fitted.
    trials = Trials(
        rows,
        plan,
        judge,
        watch,
        keep if rows.system.requirements.latency_p99_ms is None else no_memo,
    )
    baseline = trials(Member(family="baseline"), "stated")
    if models.members:
        found = [trials(member, "stated") for member in models.members]
        members, why = [one.member for one in found], {"models": "as stated"}
        findings: list[Finding] = []
    else:
        found = [
            one for one in search(trials, rows, deadline, watch) if one.member.family != "baseline"
        ] or [baseline]
        members, why, findings = _pick(found, y, weight, judge, rows, plan.folds[-1].fit)
    own = [next(one for one in found if _is_of(member, one)) for member in members]
    scores = average_scores([one.scores for one in own], [member.weight for member in members])
    calibration, reason = models.calibration, "as stated"
    if calibration is None and models.calibrate:
        calibration, reason = choose_calibration(
            rows.target.task, y, scores, weight, rows.system.seed
        )
    if rows.target.kind.CALIBRATIONS:
        why["models.calibration"] = reason
    scores = calibrate.apply(calibration, rows.target.task, scores)
    value = judge.value(y, scores, weight)
    tried = [baseline, *(one for one in found if one is not baseline)]
    candidates = [TrialRecord(one.member, one.value, one.seconds, one.origin) for one in tried]
    return Choice(
        candidates, members, calibration, scores, plan.rows, value, plan.method, why, findings
    )


def _is_of(member: Member, candidate: Candidate | TrialRecord) -> bool:
    """Whether a member is this candidate with some weight."""
    return structs.replace(member, weight=1.0) == structs.replace(candidate.member, weight=1.0)


def _pick(
    found: list[Candidate],
    y: Floats,
    weight: Floats | None,
    judge: Objective,
    rows: TrainingData,
    fit_on: Integers,
) -> tuple[list[Member], dict[str, str], list[Finding]]:
    """The average that pays, else the best candidate; no slower one than the requirements allow."""
    metric, bound = rows.system.goal.metric, rows.system.requirements.latency_p99_ms
    fits, findings = _fast_enough(sorted(found, key=lambda one: one.cost), bound, rows, fit_on)
    why = f"the best {metric} of {len(found)}" + ("" if bound is None else " that is fast enough")
    members = select_members(fits, y, weight, judge, rows.system.seed)
    if not members:
        return [fits[0].member], {"models": why}, findings
    if bound is not None:
        own = [next(one for one in fits if _is_of(member, one)) for member in members]
        pairs = zip(own, members, strict=True)
        parts = [
            structs.replace(_part(one, rows, fit_on), weight=member.weight) for one, member in pairs
        ]
        if p99_ms(parts, rows) > bound:
            return (
                [fits[0].member],
                {"models": why + "; an average would be better, but too slow"},
                findings,
            )
    why = f"an average of {len(members)} of {len(found)} is better than the best alone"
    return members, {"models": why}, findings


def _part(one: Candidate, rows: TrainingData, fit_on: Integers) -> FittedMember:
    assert one.fitted is not None
    return FittedMember(rows.encoders(fit_on, one.member), one.fitted)


def _fast_enough(
    ranked: list[Candidate], bound: float | None, rows: TrainingData, fit_on: Integers
) -> tuple[list[Candidate], list[Finding]]:
    """The best candidates that answer within `bound` milliseconds, as many as an average might be
    picked from.

    Where none does it is the fastest, and a finding says so.
    """
    if bound is None or ranked[0].member.family == "baseline":
        return ranked, []
    fits: list[Candidate] = []
    slow: list[tuple[float, Candidate]] = []
    for one in ranked:
        p99 = p99_ms([_part(one, rows, fit_on)], rows)
        if p99 <= bound:
            fits.append(one)
        slow.append((p99, one))
        if len(fits) == POOL:
            break
    if fits:
        return fits, []
    least, fastest = min(slow, key=lambda pair: pair[0])
    message = f"no candidate answers in {bound:g} ms; the fastest, which was taken, has a p99 of {least:.3g} ms"
    return [fastest], [
        Finding("train.latency", [], "error", message, {"p99_ms": least, "bound_ms": bound})
    ]


def _plan(rows: TrainingData) -> TrialPlan:
    parts = rows.parts
    few = _too_few(rows)
    if not few:
        plan = [Fold(parts.train, parts.validation)]
        method = f"{len(parts.validation)} validation rows"
    else:
        strata = rows.y.astype(np.int64) if rows.target.classes else None
        plan = folds(parts, strata, FOLDS, rows.system.seed)
        kind = (
            "each block predicted from the past"
            if parts.order is not None
            else "out-of-fold predictions"
        )
        method = f"{len(plan)} folds ({kind}), for {few}"
    if rows.target.classes:
        for fold in plan:
            _refuse_one_class(rows, fold.fit, "the rows to fit on")
        _refuse_one_class(
            rows, np.concatenate([fold.predict for fold in plan]), "the rows that judge candidates"
        )
    return TrialPlan(plan, np.concatenate([fold.predict for fold in plan]), method)


def _too_few(rows: TrainingData) -> str:
    """Why the validation rows are too few to choose by; nothing where they are enough."""
    judges = rows.y[rows.parts.validation]
    if len(judges) < ENOUGH_VALIDATION_ROWS:
        return f"fewer than {ENOUGH_VALIDATION_ROWS} validation rows"
    rarer = rows.target.kind.rarer_rows(judges)
    if rarer is not None and rarer < ENOUGH_OF_A_CLASS:
        return f"fewer than {ENOUGH_OF_A_CLASS} validation rows of the rarer class"
    return ""


def _refuse_one_class(rows: TrainingData, some: Integers, label: str) -> None:
    found = np.unique(rows.y[some])
    if len(found) < 2:
        name = rows.target.classes[int(found[0])] if len(found) else None
        raise InputError(
            "split",
            f"only the class {name!r} among {label} ({len(some)})",
            "at least two classes",
            "give more rows or another split",
        )
