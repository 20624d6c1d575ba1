"""Predict with the same graph a dict, a table or a file."""

from headrace.predict.arrays import Arrays
from headrace.predict.batch import predict_file
from headrace.predict.gaps import GapCounter, Gaps, GapWarning
from headrace.predict.latency import measure_p99_ms, measure_rows_per_s, to_requests
from headrace.predict.predictor import Predictor, make_predictor, open, order_scores
from headrace.predict.rows import trim_names
from headrace.predict.values import parse_time

__all__ = [
    "Arrays",
    "GapCounter",
    "GapWarning",
    "Gaps",
    "Predictor",
    "make_predictor",
    "measure_p99_ms",
    "measure_rows_per_s",
    "open",
    "order_scores",
    "parse_time",
    "predict_file",
    "to_requests",
    "trim_names",
]
