"""Choose the model: candidates predict rows that they were not fitted on, and the best one ships.

An average of several ships where it certainly pays. The scores of the choice are calibrated where
that certainly pays.
"""

from collections.abc import Callable

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers
from headrace.clock import SYSTEM
from headrace.errors import Finding, InputError
from headrace.features.states.vocabulary import MOST_CHARS
from headrace.models import FittedMember, calibrate
from headrace.spec import Calibration, Member
from headrace.split import Fold, folds
from headrace.tasks import Truth
from headrace.train.calibration import choose_calibration
from headrace.train.ensemble import POOL, average_scores, select_members
from headrace.train.latency import measure_ms, p99_ms
from headrace.train.rows import TrainingData
from headrace.train.search import search
from headrace.train.trial import Candidate, Objective, TrialPlan, Trials
from headrace.train.trial_cache import Memo, no_memo

FOLDS = 5
_FEWEST_FOLDS = 2
_CHARACTERS_PER_SECOND = 100_000
"""So many characters of text are encoded a second of the budget, in one fold for all families, if
the search is to have half of its time for trials on the matrices that it has then."""
_CELLS_PER_SECOND = 500_000
"""The same for the cells of a ranking's table: fits on many rows take long, too."""
ENOUGH_VALIDATION_ROWS = 2_000
ENOUGH_VALIDATION_QUERIES = 300
ENOUGH_OF_A_CLASS = 200
"""With fewer validation rows, or fewer of the rarer class in a binary task, the choice is made on
out-of-fold predictions of train and validation together: the best of many candidates by a few
events is the luckiest one."""


class TrialRecord(Struct, frozen=True):
    """A candidate as the run's document shows it."""

    member: Member
    value: float
    seconds: float
    origin: str


class Choice(Struct, frozen=True):
    """The choice of the model that ships.

    `candidates` are in the order of their trial, the baseline first; `members` and `calibration`
    make the model; `scores` are its predictions of the judging `rows`, and `value` their metric.
    `method` says in words which rows judged, `why` has the reason of each decision by its path.
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
        """Return the share of a candidate in the model that ships; 0 where it has none."""
        return sum(member.weight for member in self.members if _is_of(member, candidate))


class _Pick(Struct):
    """The members of the model, the reasons of the choice, and findings about it."""

    members: list[Member]
    why: dict[str, str]
    findings: list[Finding] = []


def select_model(
    rows: TrainingData, objective: Objective, watch: Callable[[str], None], memo: Memo = no_memo
) -> Choice:
    """Choose what ships.

    `watch` is called with what is being tried, `memo` remembers trials for later runs. Where the
    spec states `models.members`, these are judged and nothing is searched. Raises `InputError`
    where the rows to fit or to judge hold a single class.
    """
    models = rows.system.models
    deadline = SYSTEM.monotonic_s() + models.search.seconds
    plan = _plan(rows)
    truth = rows.truth_of(plan.rows)
    # The memo remembers scores, not the model that latency is measured on.
    if rows.system.requirements.latency_p99_ms is not None or models.search.prefer == "speed":
        memo = no_memo
    trials = Trials(rows, plan, objective, watch, memo)

    baseline = trials(Member(family="baseline"), "stated")
    if models.members:
        tried = [trials(member, "stated") for member in models.members]
        pick = _Pick([candidate.member for candidate in tried], {"models": "as stated"})
    else:
        searched = search(trials, rows, deadline, watch)
        tried = [each for each in searched if each.member.family != "baseline"] or [baseline]
        pick = _pick_members(tried, truth, objective, rows, plan.folds[-1].fit)

    members = pick.members
    # The choice's scores are those that its members gave in their trials.
    own = [_candidate_of(member, tried) for member in members]
    scores = average_scores([each.scores for each in own], [member.weight for member in members])
    calibration, reason = _calibrate(rows, truth, scores)
    if rows.target.kind.CALIBRATIONS:
        pick.why["models.calibration"] = reason
    scores = calibrate.apply(calibration, rows.target.task, scores)

    every = [baseline, *(candidate for candidate in tried if candidate is not baseline)]
    return Choice(
        candidates=[
            TrialRecord(each.member, each.value, each.seconds, each.origin) for each in every
        ],
        members=members,
        calibration=calibration,
        scores=scores,
        rows=plan.rows,
        value=objective.value(truth, scores),
        method=plan.method,
        why=pick.why,
        findings=pick.findings,
    )


def _calibrate(rows: TrainingData, truth: Truth, scores: Floats) -> tuple[Calibration | None, str]:
    """Return the calibration of scores, as stated in the spec or chosen, and why."""
    models = rows.system.models
    if models.calibration is None and models.calibrate:
        seed = rows.system.seed
        return choose_calibration(rows.target.task, truth.y, scores, truth.weight, seed)
    return models.calibration, "as stated"


def _is_of(member: Member, candidate: Candidate | TrialRecord) -> bool:
    """Say whether a member is this candidate with some weight."""
    return structs.replace(member, weight=1.0) == structs.replace(candidate.member, weight=1.0)


def _candidate_of(member: Member, candidates: list[Candidate]) -> Candidate:
    return next(candidate for candidate in candidates if _is_of(member, candidate))


def _pick_members(
    candidates: list[Candidate],
    truth: Truth,
    objective: Objective,
    rows: TrainingData,
    fit_on: Integers,
) -> _Pick:
    """Pick the average that pays, else the best candidate; nothing slower than is allowed.

    Parameters: the truth of the judging rows; `fit_on`, the rows that the candidates' models were
    fitted on.
    """
    metric = rows.system.goal.metric
    bound = rows.system.requirements.latency_p99_ms
    ranked = sorted(candidates, key=lambda candidate: candidate.cost)
    fast, findings = _fast_enough(ranked, bound, rows, fit_on)
    why = f"the best {metric} of {len(candidates)} candidates"
    if bound is not None:
        why += " that is fast enough"

    if rows.system.models.search.prefer == "speed":
        member, why = _pick_fastest(fast, truth, objective, rows, fit_on)
        return _Pick([member], {"models": why}, findings)
    members = select_members(fast, truth, objective, rows.system.seed)
    if not members:
        return _Pick([fast[0].member], {"models": why}, findings)
    # Each member is fast enough alone; together they may not be.
    if bound is not None:
        parts = []
        for member in members:
            part = _fitted_member(_candidate_of(member, fast), rows, fit_on)
            parts.append(structs.replace(part, weight=member.weight))
        if p99_ms(parts, rows) > bound:
            why += "; an average would be better, but too slow"
            return _Pick([fast[0].member], {"models": why}, findings)
    why = f"an average of {len(members)} of {len(candidates)} is better than the best alone"
    return _Pick(members, {"models": why}, findings)


def _pick_fastest(
    ranked: list[Candidate],
    truth: Truth,
    objective: Objective,
    rows: TrainingData,
    fit_on: Integers,
) -> tuple[Member, str]:
    """Pick the fastest of the candidates that are not certainly worse than the first; say why."""
    best = ranked[0]
    if best.member.family == "baseline":
        return best.member, "no other candidate"
    level = []
    for candidate in ranked[:POOL]:
        low, _ = objective.gain(truth, best.scores, candidate.scores)
        if candidate is best or low <= 0:
            ms = measure_ms([_fitted_member(candidate, rows, fit_on)], rows, 0.5)
            level.append((ms, candidate))
    fastest_ms, fastest = min(level, key=lambda pair: pair[0])
    best_ms = next(ms for ms, candidate in level if candidate is best)
    why = f"the fastest of {len(level)} that are not certainly worse than the best"
    return fastest.member, f"{why}: {fastest_ms:.2g} ms a row, the best {best_ms:.2g}"


def _fitted_member(candidate: Candidate, rows: TrainingData, fit_on: Integers) -> FittedMember:
    assert candidate.fitted is not None
    return FittedMember(rows.fit_encoders(fit_on, candidate.member), candidate.fitted)


def _fast_enough(
    ranked: list[Candidate], bound: float | None, rows: TrainingData, fit_on: Integers
) -> tuple[list[Candidate], list[Finding]]:
    """Return the best candidates that answer within `bound` milliseconds, at most `POOL` of them.

    Where none is fast enough it is the fastest, with a finding that says so.
    """
    if bound is None or ranked[0].member.family == "baseline":
        return ranked, []

    fast: list[Candidate] = []
    measured: list[tuple[float, Candidate]] = []
    for candidate in ranked:
        p99 = p99_ms([_fitted_member(candidate, rows, fit_on)], rows)
        measured.append((p99, candidate))
        if p99 <= bound:
            fast.append(candidate)
        # Measuring takes time, and no more are needed to pick an average from.
        if len(fast) == POOL:
            break
    if fast:
        return fast, []

    least, fastest = min(measured, key=lambda pair: pair[0])
    message = (
        f"no candidate answers in {bound:g} ms; the fastest, which was chosen, has a p99 of "
        f"{least:.3g} ms"
    )
    values = {"p99_ms": least, "bound_ms": bound}
    return [fastest], [Finding("train.latency", [], "error", message, values)]


def _plan(rows: TrainingData) -> TrialPlan:
    """Plan the trials: one fold where the validation split is large enough, else several.

    Raises `InputError` where the rows to fit or to judge hold a single class.
    """
    parts = rows.parts
    shortage = _find_shortage(rows)
    if not shortage:
        plan = [Fold(parts.train, parts.validation)]
        method = f"{len(parts.validation):,} validation rows"
        if rows.target.kind.HAS_QUERIES:
            queries = rows.truth_of(parts.validation).queries
            method += f" of {queries.count if queries else 0:,} queries"
    else:
        strata = rows.y.astype(np.int64) if rows.target.classes else None
        plan = folds(parts, strata, _count_folds(rows), rows.system.seed)
        kind = "out-of-fold predictions"
        if parts.order is not None:
            kind = "each block predicted from the past"
        method = f"{len(plan)} folds ({kind}), as there are {shortage}"

    judging = np.concatenate([fold.predict for fold in plan])
    # No family can learn, and no metric compare, from a single class.
    if rows.target.classes:
        for fold in plan:
            _refuse_one_class(rows, fold.fit, "the rows to fit on")
        _refuse_one_class(rows, judging, "the rows that judge candidates")
    return TrialPlan(plan, judging, method)


def _count_folds(rows: TrainingData) -> int:
    """Return how many folds the search can afford: fewer of long texts, and of large rankings.

    The count follows from the spec and the data alone, so that a run can be repeated.
    """
    texts = [column.name for column in rows.columns if column.kind == "text"]
    lengths = rows.frame.select(
        cs.by_name(*texts).cast(pl.String).str.len_chars().clip(0, MOST_CHARS)
    )
    characters = sum(lengths.sum().row(0)) if texts else 0
    seconds = rows.system.models.search.seconds
    affordable = seconds * _CHARACTERS_PER_SECOND // max(characters, 1)
    # Few queries may have many rows; of other tasks only small tables come here.
    if rows.target.kind.HAS_QUERIES:
        cells = rows.frame.height * len(rows.columns)
        affordable = min(affordable, seconds * _CELLS_PER_SECOND // cells)
    return int(np.clip(affordable, _FEWEST_FOLDS, FOLDS))


def _find_shortage(rows: TrainingData) -> str:
    """Say why the validation rows are too few to choose by; empty where they are enough."""
    truth = rows.truth_of(rows.parts.validation)
    if truth.queries is not None:
        if truth.queries.count < ENOUGH_VALIDATION_QUERIES:
            return f"fewer than {ENOUGH_VALIDATION_QUERIES} validation queries"
        return ""
    y = truth.y
    if len(y) < ENOUGH_VALIDATION_ROWS:
        return f"fewer than {ENOUGH_VALIDATION_ROWS:,} validation rows"
    # The rarer class decides how far a metric moves by luck.
    rarer = rows.target.kind.rarer_rows(y)
    if rarer is not None and rarer < ENOUGH_OF_A_CLASS:
        return f"fewer than {ENOUGH_OF_A_CLASS} validation rows of the rarer class"
    return ""


def _refuse_one_class(rows: TrainingData, positions: Integers, label: str) -> None:
    classes = np.unique(rows.y[positions])
    if len(classes) < 2:
        name = rows.target.classes[int(classes[0])] if len(classes) else None
        raise InputError(
            "split",
            f"only the class {name!r} among {label} ({len(positions)})",
            "at least two classes",
            "give more rows or another split",
        )
