"""One candidate: fitted on every fold of the plan, it predicts rows that it was not fitted on."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers
from headrace.clock import SYSTEM
from headrace.models import FAMILIES, Fitted, Matrix, Sample, TrialPruned, ValidationSet
from headrace.spec import GbdtParams, LinearParams, Member
from headrace.split import Fold
from headrace.train.rows import TrainingData
from headrace.train.subsample import subsample
from headrace.train.trial_cache import (
    MOST_CELLS,
    Matrices,
    Memo,
    TrialOutcome,
    no_memo,
    pack,
    unpack,
)

_CACHED_BYTES = 1 << 31


class Objective(Protocol):
    """What decides between scores: `evaluate.Judge` is one."""

    def value(self, y: Floats, scores: Floats, weight: Floats | None = None) -> float:
        """The metric."""

    def cost(self, y: Floats, scores: Floats, weight: Floats | None = None) -> float:
        """Smaller is better."""

    def gain(self, y: Floats, a: Floats, b: Floats, weight: Floats | None = None) -> list[float]:
        """The interval of how much better `a` is than `b`."""


class Candidate(Struct, frozen=True):
    """A member with the settings that it would be refitted with, its predictions of the judging
    rows, what the judge says of them, and its model of the last fold, for measuring how fast it is
    (none where the trial was remembered).
    """

    member: Member
    scores: Floats
    value: float
    cost: float
    seconds: float
    fitted: Fitted | None
    origin: str


class TrialPlan(Struct, frozen=True):
    """The folds, the rows that they predict in this order, and how to call it."""

    folds: list[Fold]
    rows: Integers
    method: str


class Trials:
    """Tries members on a plan; matrices that several of them see are made once, and what `keep` remembers not again."""

    def __init__(
        self,
        rows: TrainingData,
        plan: TrialPlan,
        judge: Objective,
        watch: Callable[[str], None],
        keep: Memo = no_memo,
    ) -> None:
        self.rows, self.plan, self.judge, self._watch, self._keep = rows, plan, judge, watch, keep
        self._matrices: OrderedDict[Any, tuple[list[int], Matrix, Matrix]] = OrderedDict()

    def __call__(
        self,
        member: Member,
        origin: str,
        deadline: float = float("inf"),
        should_prune: Callable[[int, float], bool] | None = None,
    ) -> Candidate:
        """Fits and judges a member.

        With several folds `should_prune(fold, cost)` is asked after each, with a single one the
        family asks it while it fits; raises `TrialPruned` where it says yes. Each fold gets its
        share of the time to `deadline`.
        """
        fitted: list[Fitted] = []
        reports: list[tuple[int, float]] = []

        def tell(step: int, cost: float) -> bool:
            reports.append((step, float(cost)))
            return should_prune is not None and should_prune(step, cost)

        def make() -> TrialOutcome:
            begin = SYSTEM.monotonic_s()
            try:
                settled, scores = self._fits(
                    member, deadline, tell if should_prune else None, fitted
                )
            except TrialPruned:
                return TrialOutcome(member, SYSTEM.monotonic_s() - begin, reports)
            y, weight = self.rows.y[self.plan.rows], self.rows.weight_of(self.plan.rows)
            value, cost = self.judge.value(y, scores, weight), self.judge.cost(y, scores, weight)
            return TrialOutcome(settled, SYSTEM.monotonic_s() - begin, reports, scores, value, cost)

        models = self.rows.system.models
        # Only who may give up a trial is told of one that was given up.
        made_of = [
            "trial",
            member,
            should_prune is not None,
            models.negatives,
            models.class_weight,
            models.search.seconds,
        ]
        found = self._keep(TrialOutcome, made_of, make)
        if (
            should_prune is not None and not reports
        ):  # remembered: others are compared with it all the same
            for step, cost in found.reports:
                should_prune(step, cost)
        if found.scores is None:
            raise TrialPruned
        last = fitted[-1] if fitted else None
        return Candidate(
            found.member, found.scores, found.value, found.cost, found.seconds, last, origin
        )

    def _fits(
        self,
        member: Member,
        deadline: float,
        should_prune: Callable[[int, float], bool] | None,
        fitted: list[Fitted],
    ) -> tuple[Member, Floats]:
        """The member as its folds ended, and its predictions; each fold's model is appended to `fitted`."""
        scores = []
        count = len(self.plan.folds)
        for number, fold in enumerate(self.plan.folds, 1):
            self._watch(member.family + (f", fold {number} of {count}" if count > 1 else ""))
            share = SYSTEM.monotonic_s() + (deadline - SYSTEM.monotonic_s()) / (count - number + 1)
            model, raw = self._fold(
                member, fold, number, share, should_prune if count == 1 else None
            )
            fitted.append(model)
            scores.append(raw)
            member = _as_fitted(member, model.params)
            if should_prune is not None and count > 1 and number < count:
                seen = np.concatenate([each.predict for each in self.plan.folds[:number]])
                if should_prune(number, self._cost(seen, np.concatenate(scores))):
                    raise TrialPruned
        return _together(member, [model.params for model in fitted]), np.concatenate(scores)

    def _cost(self, seen: Integers, scores: Floats) -> float:
        return self.judge.cost(self.rows.y[seen], scores, self.rows.weight_of(seen))

    def _fold(
        self,
        member: Member,
        fold: Fold,
        number: int,
        deadline: float,
        should_prune: Callable[[int, float], bool] | None,
    ) -> tuple[Fitted, Floats]:
        rows, spec = self.rows, self.rows.system
        family = FAMILIES[member.family]
        codes, X, held = self._seen(member, fold, number)
        drawn = subsample(
            rows.y[fold.fit], rows.weight_of(fold.fit), rows.target, spec.models, spec.seed
        )
        watched = ValidationSet(
            held,
            rows.y[fold.predict],
            rows.weight_of(fold.predict),
            drawn.shift,
            deadline,
            should_prune,
        )
        y = rows.y[fold.fit][drawn.rows]
        sample = Sample(drawn.of(X), y, drawn.weight, codes)
        fitted = family.fit(sample, rows.target, member.params, spec.seed, watched)
        fitted = structs.replace(fitted, shift=drawn.shift)
        return fitted, scores_of(fitted, held, rows)

    def _seen(self, member: Member, fold: Fold, number: int) -> tuple[list[int], Matrix, Matrix]:
        """Which columns are codes, and the matrices of the fitted and of the predicted rows, kept
        while there is room.
        """
        representation = FAMILIES[member.family].REPRESENTATION
        if member.family == "baseline":
            return [], np.empty((len(fold.fit), 0)), np.empty((len(fold.predict), 0))
        key = (number, representation, str(sorted(member.encode.items())))
        if key not in self._matrices:
            self._matrices[key] = self._made(member, fold, key)
            while (
                len(self._matrices) > 1
                and sum(map(_bytes, self._matrices.values())) > _CACHED_BYTES
            ):
                self._matrices.popitem(last=False)
        self._matrices.move_to_end(key)
        return self._matrices[key]

    def _made(
        self, member: Member, fold: Fold, key: tuple[Any, ...]
    ) -> tuple[list[int], Matrix, Matrix]:
        def make() -> Matrices:
            features = self.rows.encoders(fold.fit, member)
            fitted, held = (
                self.rows.training_matrix(features, fold.fit),
                self.rows.matrix(features, fold.predict),
            )
            return Matrices(features.codes, fitted.shape[1], pack(fitted), pack(held))

        keep = (
            self._keep if self.rows.frame.height * len(self.rows.columns) <= MOST_CELLS else no_memo
        )
        found = keep(Matrices, ["matrices", *key], make)
        return found.codes, unpack(found.fitted, found.width), unpack(found.held, found.width)


def scores_of(fitted: Any, X: Any, rows: TrainingData) -> Floats:
    """Predictions by the trainer's own code, with the shift."""
    raw = FAMILIES[fitted.family].predict(fitted, X)
    if fitted.shift:
        raw = raw + np.array(fitted.shift if rows.target.kind.SCORE_EACH_CLASS else fitted.shift[0])
    return rows.target.kind.to_scores(raw)


def _bytes(kept: Any) -> int:
    return sum(
        X.nbytes if isinstance(X, np.ndarray) else X.data.nbytes + X.indices.nbytes
        for X in kept[1:]
    )


def _as_fitted(member: Member, params: GbdtParams | LinearParams | None) -> Member:
    """The member with the settings that its first fold ended with: what time allows is told once."""
    if not isinstance(params, GbdtParams) or member.gbdt is None:
        return member
    return structs.replace(member, gbdt=structs.replace(params, rounds=member.gbdt.rounds))


def _together(member: Member, params: list[GbdtParams | LinearParams | None]) -> Member:
    """The settings of several folds: the same but for the rounds, which are averaged."""
    first = params[0]
    if not isinstance(first, GbdtParams):
        return member
    rounds = [each.rounds or 1 for each in params if isinstance(each, GbdtParams)]
    return structs.replace(
        member, gbdt=structs.replace(first, rounds=round(sum(rounds) / len(rounds)))
    )
