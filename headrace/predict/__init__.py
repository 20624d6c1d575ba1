"""The predictor: the same graph for a dict, a table and a file."""

from headrace.predict.arrays import Arrays
from headrace.predict.batch import predict_file
from headrace.predict.gaps import GapWarning, Tally
from headrace.predict.latency import p99_ms, requests_of, rows_per_s
from headrace.predict.predictor import Predictor, open, predictor_of
from headrace.predict.rows import trimmed
from headrace.predict.values import time_of

__all__ = [
    "Arrays",
    "GapWarning",
    "Predictor",
    "Tally",
    "open",
    "p99_ms",
    "predict_file",
    "predictor_of",
    "requests_of",
    "rows_per_s",
    "time_of",
    "trimmed",
]
