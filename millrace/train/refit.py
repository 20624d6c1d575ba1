"""The winner once more, with its chosen settings, on train and validation rows. Test rows never enter."""

import numpy as np
from msgspec import Struct, structs

from millrace.errors import WorkError
from millrace.features import Features, open_session
from millrace.models import FAMILIES, Fitted, compile_model
from millrace.spec import ColumnSpec, System, with_changes
from millrace.split import Parts
from millrace.train.choose import Candidate
from millrace.train.rows import Rows

TOLERANCE = 1e-5
_PARITY_ROWS = 2_000


class Refitted(Struct, frozen=True):
    """The shipped model; `parity` is the largest relative difference between the graph and the trainer's own scores."""

    features: Features
    fitted: Fitted
    model: bytes
    rows: int
    parity: float


def refit(rows: Rows, parts: Parts, winner: Candidate) -> Refitted:
    """Fits encoders and model again and compiles them; raises `WorkError` where the graph does not predict the same."""
    member = FAMILIES[winner.family]
    fit_on = np.sort(np.concatenate([parts.train, parts.validation]))
    features, session = rows.features(fit_on, member.REPRESENTATION)
    X = rows.matrix(session, fit_on)
    fitted = member.fit(X, rows.y[fit_on], rows.target, winner.params, rows.system.seed, None)
    model = compile_model(features, fitted, rows.target)
    check = fit_on[:: max(1, len(fit_on) // _PARITY_ROWS)]
    output = "probabilities" if rows.target.task == "multiclass" else "prediction"
    scores = open_session(model).column(output, rows.frame[check])
    expected = member.predict(fitted, rows.matrix(session, check))
    scores = scores if rows.target.task == "multiclass" else scores[:, 0]
    parity = float(np.max(np.abs(scores - expected) / np.maximum(1.0, np.abs(expected))))
    if not parity <= TOLERANCE:
        raise WorkError(
            f"the {winner.family} graph", f"differs from its trainer by {parity:.2g}", f"at most {TOLERANCE}"
        )
    return Refitted(features, fitted, model, len(fit_on), parity)


def baseline_scores(rows: Rows, parts: Parts) -> np.ndarray:
    """What the baseline, fitted on the same rows as the shipped model, says of every test row."""
    member = FAMILIES["baseline"]
    fit_on = np.concatenate([parts.train, parts.validation])
    nothing = np.empty((len(fit_on), 0), np.float32)
    fitted = member.fit(nothing, rows.y[fit_on], rows.target, None, rows.system.seed, None)
    return member.predict(fitted, np.empty((len(parts.test), 0), np.float32))


def resolved_spec(rows: Rows, features: Features, winner: Candidate) -> System:
    """The spec with everything that was inferred or chosen filled in: run again, it gives the same model."""
    encodes = {one.column: one.encode for one in features.encoded}
    special = {rows.target.name, rows.system.data.id, rows.system.data.group, *rows.system.features.exclude}
    columns = {
        column.name: ColumnSpec(kind=column.kind, encode=encodes.get(column.name))  # type: ignore[arg-type]
        for column in rows.columns
        if column.name not in special
    }
    models = structs.replace(rows.system.models, candidates=[winner.family])
    if winner.params is not None:
        models = structs.replace(models, **{winner.family: winner.params})
    return with_changes(rows.system, features=structs.replace(rows.system.features, columns=columns), models=models)
