"""The chosen members once more, with their settings, on train and validation rows.

Test rows never enter.
"""

from collections import defaultdict

import numpy as np
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers
from headrace.errors import WorkError
from headrace.features import Features, open_session
from headrace.models import FAMILIES, FittedMember, Sample, calibrate, compile_model
from headrace.spec import Calibration, ColumnSpec, Member, System, with_changes
from headrace.train.ensemble import average_scores
from headrace.train.rows import TrainingData
from headrace.train.select import Choice
from headrace.train.subsample import subsample
from headrace.train.trial import scores_of

TOLERANCE = 1e-5
_PARITY_ROWS = 2_000


class Model(Struct, frozen=True):
    """The shipped model; `parity` is the largest relative difference between the graph and the trainers' own scores."""

    parts: list[FittedMember]
    members: list[Member]
    model: bytes
    rows: int
    parity: float

    @property
    def features(self) -> Features:
        """The encoders of the first member, whose matrix the graph can show."""
        return self.parts[0].features

    @property
    def width(self) -> int:
        """The numbers that all members see of a row."""
        return sum(len(part.features.names) for part in self.parts)

    @property
    def uses(self) -> dict[str, float]:
        """How much of what the members found stands on each raw column that they use at all."""
        found: defaultdict[str, float] = defaultdict(float)
        for part in self.parts:
            gains = FAMILIES[part.fitted.family].uses(part.fitted)
            if not len(gains) or not gains.sum() > 0:
                continue
            shares = part.weight * gains / gains.sum()
            encoded = [one for block in part.features.blocks() for one in block]
            at = 0
            for one in encoded:
                for column in one.parts or [one.column]:
                    found[column] += float(shares[at : at + len(one.names)].sum())
                at += len(one.names)
            for one in part.features.wide:
                for column in one.parts or [one.column]:
                    found[column] += float(shares[at:].sum())
        return {column: share for column, share in found.items() if share > 0}

    @property
    def columns(self) -> set[str]:
        """The raw columns that the graph takes."""
        return {column for part in self.parts for column in part.features.columns}


def refit(rows: TrainingData, choice: Choice, threshold: float | None) -> Model:
    """Fits encoders and models again and compiles them; raises `WorkError` where the graph does not
    predict the same.
    """
    fit_on = np.sort(np.concatenate([rows.parts.train, rows.parts.validation]))
    ordered = sorted(choice.members, key=lambda member: -member.weight)
    parts = [_fit(rows, fit_on, member) for member in ordered]
    members = [_with_params(member, part) for member, part in zip(ordered, parts, strict=True)]
    model = compile_model(parts, rows.target, choice.calibration, threshold)
    check = fit_on[:: max(1, len(fit_on) // _PARITY_ROWS)]
    parity = _parity(rows, check, parts, model, choice.calibration)
    if not parity <= TOLERANCE:
        families = " and ".join(sorted({member.family for member in members}))
        raise WorkError(
            f"the {families} graph",
            f"differs from its trainer by {parity:.2g}",
            f"at most {TOLERANCE}",
        )
    return Model(parts, members, model, len(fit_on), parity)


def _fit(rows: TrainingData, fit_on: Integers, member: Member) -> FittedMember:
    spec = rows.system
    features = rows.encoders(fit_on, member)
    X = rows.training_matrix(features, fit_on)
    drawn = subsample(rows.y[fit_on], rows.weight_of(fit_on), rows.target, spec.models, spec.seed)
    y = rows.y[fit_on][drawn.rows]
    family = FAMILIES[member.family]
    sample = Sample(drawn.of(X), y, drawn.weight, features.codes)
    fitted = family.fit(sample, rows.target, member.params, spec.seed, None)
    return FittedMember(features, structs.replace(fitted, shift=drawn.shift), member.weight)


def _with_params(member: Member, part: FittedMember) -> Member:
    return (
        structs.replace(member, **{member.family: part.fitted.params})
        if member.params is not None
        else member
    )


def _parity(
    rows: TrainingData,
    check: Integers,
    parts: list[FittedMember],
    model: bytes,
    calibration: Calibration | None,
) -> float:
    task = rows.target.task
    found = open_session(model).column(rows.target.kind.SCORES, rows.frame[check])
    own = [scores_of(part.fitted, rows.matrix(part.features, check), rows) for part in parts]
    expected = calibrate.apply(
        calibration, task, average_scores(own, [part.weight for part in parts])
    )
    scores = found if rows.target.kind.SCORE_EACH_CLASS else found[:, 0]
    return float(np.max(np.abs(scores - expected) / np.maximum(1.0, np.abs(expected))))


def baseline_scores(rows: TrainingData) -> Floats:
    """What the baseline, fitted on the same rows as the shipped model, says of every test row."""
    member = FAMILIES["baseline"]
    fit_on = np.concatenate([rows.parts.train, rows.parts.validation])
    sample = Sample(np.empty((len(fit_on), 0), np.float32), rows.y[fit_on], rows.weight_of(fit_on))
    fitted = member.fit(sample, rows.target, None, rows.system.seed, None)
    return scores_of(fitted, np.empty((len(rows.parts.test), 0), np.float32), rows)


def resolved_spec(
    rows: TrainingData, refitted: Model, choice: Choice, threshold: float | None
) -> System:
    """The spec with everything that was inferred or chosen filled in: run again, it gives the same model."""
    spec = rows.system
    special = {
        rows.target.name,
        spec.data.id,
        spec.data.group,
        spec.data.weight,
        *spec.features.exclude,
    }
    columns = {
        column.name: structs.replace(
            spec.features.columns.get(column.name, ColumnSpec()), kind=column.kind
        )
        for column in rows.columns
        if column.name not in special
    }
    models = structs.replace(
        spec.models,
        members=refitted.members,
        calibration=choice.calibration,
        calibrate=choice.calibration is not None,
    )
    goal = spec.goal
    if goal.decision is not None:
        goal = structs.replace(goal, decision=structs.replace(goal.decision, threshold=threshold))
    return with_changes(
        spec, goal=goal, features=structs.replace(spec.features, columns=columns), models=models
    )
