"""How long one row takes in a model's graph, where the spec asks for it."""

import numpy as np

from headrace.clock import SYSTEM
from headrace.features import Session, open_session
from headrace.models import FittedMember, compile_model
from headrace.train.rows import TrainingData

_WARM_UP = 50
_CALLS = 500
_DIFFERENT_ROWS = 200


def p99_ms(parts: list[FittedMember], rows: TrainingData) -> float:
    """Measure the 99th percentile of a call with one row, in milliseconds; the rows vary."""
    return measure_ms(parts, rows, 0.99)


def measure_ms(parts: list[FittedMember], rows: TrainingData, quantile: float) -> float:
    """Measure a quantile of the milliseconds of a call with one row; the rows vary."""
    session: Session = open_session(compile_model(parts, rows.target))
    count = min(_DIFFERENT_ROWS, rows.frame.height)
    feeds = [session.feeds(rows.frame[at : at + 1]) for at in range(count)]
    # Calls alternate between rows, so that no call profits from the cached values of the last one.
    times = []
    for call in range(_WARM_UP + _CALLS):
        begin = SYSTEM.monotonic_s()
        session.run(["prediction"], feeds[call % len(feeds)])
        times.append(SYSTEM.monotonic_s() - begin)
    return float(np.quantile(times[_WARM_UP:], quantile)) * 1e3
