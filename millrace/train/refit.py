"""The winner once more, with its chosen settings, on train and validation rows. Test rows never enter."""

import numpy as np
from msgspec import Struct

from millrace.errors import WorkError
from millrace.features import Features
from millrace.models import FAMILIES, Fitted, compile_model
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
    from millrace.features import open_session

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
        raise WorkError(f"the {winner.family} graph", f"differs from its trainer by {parity:.2g}", f"at most {TOLERANCE}")
    return Refitted(features, fitted, model, len(fit_on), parity)
