"""Fit the chosen members once more, with their settings, on train and validation rows.

Test rows never enter.
"""

from collections import defaultdict

import numpy as np
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers
from headrace.errors import WorkError
from headrace.features import Features, FittedEncoder, open_session
from headrace.models import FAMILIES, FittedMember, Sample, calibrate, compile_model
from headrace.spec import Calibration, ColumnSpec, Member, System, with_changes
from headrace.train.ensemble import average_scores
from headrace.train.rows import TrainingData
from headrace.train.select import Choice
from headrace.train.trial import find_scale, make_sample, predict_scores

TOLERANCE = 1e-5
_PARITY_ROWS = 2_000


class Model(Struct, frozen=True):
    """The shipped model: its fitted parts, the members of the resolved spec, and the graph.

    `rows` is how many rows it was fitted on; `parity` is the largest relative difference between
    the scores of the graph and those of the trainers' own code. `scale` is that of the target.
    """

    parts: list[FittedMember]
    members: list[Member]
    model: bytes
    rows: int
    parity: float
    scale: float = 1.0

    @property
    def features(self) -> Features:
        """The encoders of the first member, whose matrix the graph can show."""
        return self.parts[0].features

    @property
    def width(self) -> int:
        """How many numbers all members see of a row."""
        return sum(len(part.features.names) for part in self.parts)

    @property
    def uses(self) -> dict[str, float]:
        """The share of each raw column in what the members learned; unused columns are left out."""
        shares: defaultdict[str, float] = defaultdict(float)
        for part in self.parts:
            gains = FAMILIES[part.fitted.family].uses(part.fitted)
            if not len(gains) or not gains.sum() > 0:
                continue
            _add_uses(shares, part.features, part.weight * gains / gains.sum())
        return {column: share for column, share in shares.items() if share > 0}

    @property
    def columns(self) -> set[str]:
        """The raw columns that the graph takes."""
        return {column for part in self.parts for column in part.features.columns}


def _add_uses(shares: defaultdict[str, float], features: Features, gains: Floats) -> None:
    """Add the gains of features `(F,)` to the shares of the raw columns that they come from."""
    at = 0
    for block in features.blocks():
        for encoder in block:
            gain = float(gains[at : at + len(encoder.names)].sum())
            for column in _raw_columns(encoder):
                shares[column] += gain
            at += len(encoder.names)
    # Sparse columns follow the dense ones; their gains count for every wide encoder.
    for encoder in features.wide:
        for column in _raw_columns(encoder):
            shares[column] += float(gains[at:].sum())


def _raw_columns(encoder: FittedEncoder) -> list[str]:
    return encoder.parts or [encoder.column]


def refit(rows: TrainingData, choice: Choice, threshold: float | None) -> Model:
    """Fit encoders and models again, and compile them.

    Raises `WorkError` where the graph does not predict the same as the trainers' own code.
    """
    fit_on = np.sort(np.concatenate([rows.parts.train, rows.parts.validation]))
    # The heaviest member first: the graph shows the matrix of the first one.
    ordered = sorted(choice.members, key=lambda member: -member.weight)
    parts = [_fit_member(rows, fit_on, member) for member in ordered]
    members = [_with_params(member, part) for member, part in zip(ordered, parts, strict=True)]
    model = compile_model(parts, rows.target, choice.calibration, threshold)

    # Some thousand rows, evenly spread, find a wrong node as surely as all of them.
    check = fit_on[:: max(1, len(fit_on) // _PARITY_ROWS)]
    scale = rows.target.kind.scale(rows.y[fit_on])
    parity = _measure_parity(rows, check, parts, model, choice.calibration, scale)
    if not parity <= TOLERANCE:
        families = " and ".join(sorted({member.family for member in members}))
        raise WorkError(
            f"the {families} graph",
            f"differs from its trainer by {parity:.2g}",
            f"at most {TOLERANCE}",
        )
    return Model(parts, members, model, len(fit_on), parity, scale)


def _fit_member(rows: TrainingData, fit_on: Integers, member: Member) -> FittedMember:
    spec = rows.system
    features = rows.fit_encoders(fit_on, member)
    X, _ = rows.encode_fold(features, fit_on, fit_on[:0])
    sample, shift = make_sample(rows, fit_on, X, features.codes)
    fitted = FAMILIES[member.family].fit(sample, rows.target, member.params, spec.seed, None)
    fitted = structs.replace(fitted, shift=shift, scale=find_scale(fitted, sample))
    return FittedMember(features, fitted, member.weight)


def _with_params(member: Member, part: FittedMember) -> Member:
    """Return a member with the settings that its fit ended with."""
    if member.params is None:
        return member
    return structs.replace(member, **{member.family: part.fitted.params})


def _measure_parity(
    rows: TrainingData,
    check: Integers,
    parts: list[FittedMember],
    model: bytes,
    calibration: Calibration | None,
    scale: float,
) -> float:
    """Measure the largest difference between the graph and the trainers' own code on some rows.

    It is relative to the largest of 1, the score and the target's scale.
    """
    kind = rows.target.kind
    own = []
    for part in parts:
        X = rows.encode_rows(part.features, check)
        own.append(predict_scores(part.fitted, X, rows))
    average = average_scores(own, [part.weight for part in parts])
    expected = calibrate.apply(calibration, rows.target.task, average)

    scores = open_session(model).column(kind.SCORES, rows.frame[check])
    if not kind.SCORE_EACH_CLASS:
        scores = scores[:, 0]
    return float(np.max(np.abs(scores - expected) / np.maximum(max(1.0, scale), np.abs(expected))))


def predict_baseline(rows: TrainingData) -> Floats:
    """Return the baseline's scores of the test rows, fitted on the rows of the shipped model."""
    baseline = FAMILIES["baseline"]
    fit_on = np.concatenate([rows.parts.train, rows.parts.validation])
    sample = Sample(np.empty((len(fit_on), 0), np.float32), rows.y[fit_on], rows.weight_of(fit_on))
    fitted = baseline.fit(sample, rows.target, None, rows.system.seed, None)
    return predict_scores(fitted, np.empty((len(rows.parts.test), 0), np.float32), rows)


def resolve_spec(
    rows: TrainingData, refitted: Model, choice: Choice, threshold: float | None
) -> System:
    """Fill in all that was inferred or chosen: the returned spec gives the same model again."""
    spec = rows.system
    data = spec.data
    special = {rows.target.name, data.id, data.group, data.weight, *spec.features.exclude}
    columns = {}
    for column in rows.columns:
        if column.name not in special:
            stated = spec.features.columns.get(column.name, ColumnSpec())
            columns[column.name] = structs.replace(stated, kind=column.kind)

    # With its members stated, the spec is not searched again.
    models = structs.replace(
        spec.models,
        members=refitted.members,
        calibration=choice.calibration,
        calibrate=choice.calibration is not None,
        search=structs.replace(spec.models.search, prefer="quality"),
    )
    goal = spec.goal
    if goal.decision is not None:
        goal = structs.replace(goal, decision=structs.replace(goal.decision, threshold=threshold))
    features = structs.replace(spec.features, columns=columns)
    return with_changes(spec, goal=goal, features=features, models=models)
