"""How long one row takes in a model's graph, where the requirements bound it."""

import numpy as np

from headrace.clock import SYSTEM
from headrace.features import Session, open_session
from headrace.models import FittedMember, compile_model
from headrace.train.rows import TrainingData

_WARM_UP, _CALLS = 50, 500


def p99_ms(parts: list[FittedMember], rows: TrainingData) -> float:
    """The 99th percentile of single rows, rows varying, in milliseconds."""
    session: Session = open_session(compile_model(parts, rows.target))
    feeds = [session.feeds(rows.frame[at : at + 1]) for at in range(min(200, rows.frame.height))]
    times = []
    for call in range(_WARM_UP + _CALLS):
        begin = SYSTEM.monotonic_s()
        session.run(["prediction"], feeds[call % len(feeds)])
        times.append(SYSTEM.monotonic_s() - begin)
    return float(np.quantile(times[_WARM_UP:], 0.99)) * 1e3
