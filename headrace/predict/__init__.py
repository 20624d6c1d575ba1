"""Predict with the same graph a dict, a table or a file."""

from headrace.predict.arrays import Arrays
from headrace.predict.batch import predict_file
from headrace.predict.gaps import GapCounter, GapWarning
from headrace.predict.latency import as_requests, p99_ms, rows_per_s
from headrace.predict.predictor import Predictor, make_predictor, open
from headrace.predict.rows import trim
from headrace.predict.values import parse_time

__all__ = [
    "Arrays",
    "GapCounter",
    "GapWarning",
    "Predictor",
    "as_requests",
    "make_predictor",
    "open",
    "p99_ms",
    "parse_time",
    "predict_file",
    "rows_per_s",
    "trim",
]
