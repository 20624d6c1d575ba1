"""One trial: a candidate is fitted on each fold of a plan, and predicts the rows left out of it.

A plan of three folds, `F` for rows to fit on and `P` for rows to predict:

    rows      1 2 3   4 5 6   7 8 9
    fold 1    P P P   F F F   F F F   ─▶ scores of 1 2 3
                                         should_prune(1, cost of 1 2 3)?
    fold 2    F F F   P P P   F F F   ─▶ scores of 4 5 6
                                         should_prune(2, cost of 1 … 6)?
    fold 3    F F F   F F F   P P P   ─▶ scores of 7 8 9
                                         value and cost of 1 … 9 ─▶ Candidate

With enough validation rows the plan has one fold, which predicts the validation split; then the
family asks `should_prune` while it fits. In each fold encoders are fitted first (their
matrices are cached, other members may share them), then rows are drawn, then the family fits.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers
from headrace.clock import SYSTEM
from headrace.models import FAMILIES, Fitted, Matrix, Sample, TrialPruned, ValidationSet
from headrace.spec import ForestParams, GbdtParams, Member, Params
from headrace.split import Fold
from headrace.tasks import Truth
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
_SPREAD_ROWS = 20_000
_FoldMatrices = tuple[list[int], Matrix, Matrix]
"""The columns that hold codes, and the matrices of the rows to fit on and to predict."""
ShouldPrune = Callable[[int, float], bool]
"""Says whether a trial ends early: `should_prune(step, cost)`."""


class Objective(Protocol):
    """A judge of scores, such as `evaluate.MetricObjective`.

    Parameters: the truth of N rows; `scores`, `a` and `b`, `(N,)` or `(N, K)`.
    """

    def value(self, truth: Truth, scores: Floats) -> float:
        """Compute the metric."""

    def cost(self, truth: Truth, scores: Floats) -> float:
        """Return a number that is smaller where the scores are better."""

    def gain(self, truth: Truth, a: Floats, b: Floats) -> list[float]:
        """Compute the interval of how much better `a` is than `b`."""


class Candidate(Struct, frozen=True):
    """A member that was tried.

    `member` has the settings that it would be refitted with; `scores` are its predictions of the
    judging rows, `value` and `cost` the objective's. `fitted` is its model of the last fold, for
    measuring how fast it is; None where the trial was remembered.
    """

    member: Member
    scores: Floats
    value: float
    cost: float
    seconds: float
    fitted: Fitted | None
    origin: str


class TrialPlan(Struct, frozen=True):
    """The folds, the rows that they predict in this order, and the plan in words."""

    folds: list[Fold]
    rows: Integers
    method: str


class _Reports:
    """The costs that a trial reports on its way; each report asks whether the trial ends early."""

    def __init__(self, should_prune: ShouldPrune) -> None:
        self.costs: list[tuple[int, float]] = []
        self._should_prune = should_prune

    def __call__(self, step: int, cost: float) -> bool:
        self.costs.append((step, float(cost)))
        return self._should_prune(step, cost)


class Trials:
    """The trials of a plan.

    Matrices that several members need are computed once, and trials that the memo remembers are
    not run again.
    """

    def __init__(
        self,
        rows: TrainingData,
        plan: TrialPlan,
        objective: Objective,
        watch: Callable[[str], None],
        memo: Memo = no_memo,
    ) -> None:
        self.rows = rows
        self.plan = plan
        self.objective = objective
        self._watch = watch
        self._memo = memo
        self._matrices: OrderedDict[Any, _FoldMatrices] = OrderedDict()

    def __call__(
        self,
        member: Member,
        origin: str,
        deadline: float = float("inf"),
        should_prune: ShouldPrune | None = None,
    ) -> Candidate:
        """Fit and judge a member.

        With several folds `should_prune(fold, cost)` is asked after each, with a single one the
        family asks it while it fits. Each fold gets its share of the time to `deadline`. Raises
        `TrialPruned` where the answer is yes.
        """
        fitted: list[Fitted] = []
        reports = _Reports(should_prune) if should_prune is not None else None

        def run() -> TrialOutcome:
            return self._run(member, deadline, reports, fitted)

        models = self.rows.system.models
        # A pruned outcome may only be remembered for callers that prune: whoever states settings
        # wants them fitted. Hence `should_prune is not None` is part of the key.
        key = [
            "trial",
            member,
            should_prune is not None,
            models.negatives,
            models.class_weight,
            models.search.seconds,
        ]
        outcome = self._memo(TrialOutcome, key, run)
        # A remembered trial reports nothing by itself, yet later trials are compared with it.
        if should_prune is not None and reports is not None and not reports.costs:
            for step, cost in outcome.reports:
                should_prune(step, cost)
        if outcome.scores is None:
            raise TrialPruned
        return Candidate(
            member=outcome.member,
            scores=outcome.scores,
            value=outcome.value,
            cost=outcome.cost,
            seconds=outcome.seconds,
            fitted=fitted[-1] if fitted else None,
            origin=origin,
        )

    def _run(
        self, member: Member, deadline: float, reports: _Reports | None, fitted: list[Fitted]
    ) -> TrialOutcome:
        """Run a trial, however it ends; append each fold's model to `fitted`."""
        begin = SYSTEM.monotonic_s()
        costs = reports.costs if reports is not None else []
        try:
            settled, scores = self._fit_folds(member, deadline, reports, fitted)
        except TrialPruned:
            return TrialOutcome(member, SYSTEM.monotonic_s() - begin, costs)

        truth = self.rows.truth_of(self.plan.rows)
        value = self.objective.value(truth, scores)
        cost = self.objective.cost(truth, scores)
        return TrialOutcome(settled, SYSTEM.monotonic_s() - begin, costs, scores, value, cost)

    def _fit_folds(
        self,
        member: Member,
        deadline: float,
        should_prune: ShouldPrune | None,
        fitted: list[Fitted],
    ) -> tuple[Member, Floats]:
        """Return the member with the settings of its folds, and its scores of the plan's rows."""
        scores: list[Floats] = []
        count = len(self.plan.folds)
        for number, fold in enumerate(self.plan.folds, 1):
            label = f", fold {number} of {count}" if count > 1 else ""
            self._watch(member.family + label)
            now = SYSTEM.monotonic_s()
            # Folds take about as long as each other; time that one leaves goes to those after it.
            fold_deadline = now + (deadline - now) / (count - number + 1)
            within_fit = should_prune if count == 1 else None
            model, fold_scores = self._fit_fold(member, fold, number, fold_deadline, within_fit)
            fitted.append(model)
            scores.append(fold_scores)
            # Folds must try the same settings: the first one decides what the time allows.
            member = _adopt_params(member, model.params)
            # After the last fold there is no work left to save.
            if should_prune is not None and number < count:
                rows = np.concatenate([each.predict for each in self.plan.folds[:number]])
                if should_prune(number, self._cost(rows, np.concatenate(scores))):
                    raise TrialPruned
        settled = _average_rounds(member, [model.params for model in fitted])
        return settled, np.concatenate(scores)

    def _cost(self, rows: Integers, scores: Floats) -> float:
        return self.objective.cost(self.rows.truth_of(rows), scores)

    def _fit_fold(
        self,
        member: Member,
        fold: Fold,
        number: int,
        deadline: float,
        should_prune: ShouldPrune | None,
    ) -> tuple[Fitted, Floats]:
        """Fit a member on a fold; return the model and its scores of the rows to predict."""
        rows = self.rows
        spec = rows.system
        family = FAMILIES[member.family]
        codes, X, X_predict = self._encode_once(member, fold, number)
        sample, shift = make_sample(rows, fold.fit, X, codes)
        truth = rows.truth_of(fold.predict)
        validation = ValidationSet(
            X_predict,
            truth.y,
            truth.weight,
            shift,
            deadline,
            should_prune,
            partial(self.objective.cost, truth) if truth.queries is not None else None,
        )
        fitted = family.fit(sample, rows.target, member.params, spec.seed, validation)
        fitted = structs.replace(fitted, shift=shift, scale=find_scale(fitted, sample))
        return fitted, predict_scores(fitted, X_predict, rows)

    def _encode_once(self, member: Member, fold: Fold, number: int) -> _FoldMatrices:
        """Return the matrices of a fold, from memory if they are there.

        Drops the matrices that were not used for the longest time where there are too many.
        """
        if member.family == "baseline":
            return [], np.empty((len(fold.fit), 0)), np.empty((len(fold.predict), 0))

        representation = FAMILIES[member.family].REPRESENTATION
        key = (number, representation, str(sorted(member.encode.items())))
        if key not in self._matrices:
            self._matrices[key] = self._encode(member, fold, key)
            while len(self._matrices) > 1 and self._cached_bytes() > _CACHED_BYTES:
                self._matrices.popitem(last=False)
        self._matrices.move_to_end(key)
        return self._matrices[key]

    def _cached_bytes(self) -> int:
        total = 0
        for _, X, X_predict in self._matrices.values():
            total += _count_bytes(X) + _count_bytes(X_predict)
        return total

    def _encode(self, member: Member, fold: Fold, key: tuple[Any, ...]) -> _FoldMatrices:
        """Fit the encoders on a fold and encode its rows, or take the matrices from the memo."""

        def encode() -> Matrices:
            features = self.rows.fit_encoders(fold.fit, member)
            fitted, predicted = self.rows.encode_fold(features, fold.fit, fold.predict)
            return Matrices(features.codes, fitted.shape[1], pack(fitted), pack(predicted))

        # Large matrices fill a disk sooner than they save time.
        cells = self.rows.frame.height * len(self.rows.columns)
        memo = self._memo if cells <= MOST_CELLS else no_memo
        packed = memo(Matrices, ["matrices", *key], encode)
        fitted = unpack(packed.fitted, packed.width)
        return packed.codes, fitted, unpack(packed.predicted, packed.width)


def make_sample(
    rows: TrainingData, fit_on: Integers, X: Matrix, codes: list[int]
) -> tuple[Sample, list[float]]:
    """Return the rows to fit on, and the shift that undoes how they were drawn.

    Parameters: `X (len(fit_on), F)`, the encoded rows, of which the columns `codes` hold codes.
    """
    spec = rows.system
    truth = rows.truth_of(fit_on)
    drawn = subsample(truth, rows.target, spec.models, spec.seed)
    own = truth.select(drawn.rows)
    return Sample(drawn.of(X), own.y, drawn.weight, codes, own.queries), drawn.shift


def find_scale(fitted: Fitted, sample: Sample) -> float:
    """Return the factor that gives raw scores of a ranking a spread of 1 within queries.

    Other tasks, and scores that do not differ, keep theirs.
    """
    if sample.queries is None:
        return 1.0
    rows = Truth(sample.y, queries=sample.queries).thin_out(np.arange(len(sample.y)), _SPREAD_ROWS)
    raw = FAMILIES[fitted.family].predict(fitted, sample.X[rows])
    of_row = sample.queries.select(rows).of_row
    means = np.bincount(of_row, raw) / np.bincount(of_row)
    spread = float(np.std(raw - means[of_row]))
    return 1 / spread if spread > 0 else 1.0


def predict_scores(fitted: Any, X: Any, rows: TrainingData) -> Floats:
    """Predict scores of `X (N, F)` with the trainer's own code, the shift included."""
    raw = FAMILIES[fitted.family].predict(fitted, X)
    if fitted.scale != 1:
        raw = raw * fitted.scale
    if fitted.shift:
        raw = raw + np.array(fitted.shift if rows.target.kind.SCORE_EACH_CLASS else fitted.shift[0])
    return rows.target.kind.to_scores(raw)


def _count_bytes(X: Matrix) -> int:
    if isinstance(X, np.ndarray):
        return X.nbytes
    return int(X.data.nbytes + X.indices.nbytes)


def _adopt_params(member: Member, params: Params | None) -> Member:
    """Return the member with the settings that a fold ended with, but its own rounds.

    A family that has little time changes its settings (a larger learning rate, say) on the first
    fold; the later ones take them over.
    """
    if isinstance(params, ForestParams):
        return structs.replace(member, forest=params)
    if not isinstance(params, GbdtParams) or member.gbdt is None:
        return member
    return structs.replace(member, gbdt=structs.replace(params, rounds=member.gbdt.rounds))


def _average_rounds(member: Member, params: list[Params | None]) -> Member:
    """Return the member with the settings of the first fold and the mean rounds of all folds."""
    first = params[0]
    if not isinstance(first, GbdtParams):
        return member
    rounds = [each.rounds or 1 for each in params if isinstance(each, GbdtParams)]
    mean = round(sum(rounds) / len(rounds))
    return structs.replace(member, gbdt=structs.replace(first, rounds=mean))
