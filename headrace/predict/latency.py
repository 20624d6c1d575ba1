"""How long single rows take, and how many rows a second a call predicts; the rows vary."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import polars as pl
import polars.selectors as cs

from headrace.clock import SYSTEM
from headrace.predict.predictor import Predictor

Rows = list[dict[str, Any]]
_WARM_UP = 100


def to_requests(predictor: Predictor, frame: pl.DataFrame) -> Rows:
    """Return the rows of a table as a client would send them: with the types of JSON."""
    names = [column.name for column in predictor.columns]
    text = msgspec.json.encode(frame.select(cs.by_name(*names)).to_dicts())
    rows: Rows = msgspec.json.decode(text)
    return rows


def measure_rows_per_s(predict: Callable[[], Any], rows: int, least_s: float = 0.3) -> float:
    """Measure the rows a second of a call that predicts `rows` of them.

    It is repeated for at least `least_s` seconds, after a warm-up.
    """
    predict()
    calls = 0
    passed = 0.0
    begin = SYSTEM.monotonic_s()
    while passed < least_s or not calls:
        predict()
        calls += 1
        passed = SYSTEM.monotonic_s() - begin
    return calls * rows / passed


def measure_p99_ms(ask: Callable[[Rows], Any], rows: Rows, calls: int = 2_000) -> float:
    """Measure the 99th percentile of requests of one row, in milliseconds, after a warm-up."""
    times = []
    for number in range(calls + _WARM_UP):
        begin = SYSTEM.monotonic_s()
        ask([rows[number % len(rows)]])
        times.append(SYSTEM.monotonic_s() - begin)
    return float(np.quantile(times[_WARM_UP:], 0.99)) * 1e3
