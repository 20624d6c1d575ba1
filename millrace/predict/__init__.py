"""The predictor: the same graph for a dict, a table and a file."""

from millrace.predict.arrays import Arrays
from millrace.predict.batch import predict_file
from millrace.predict.gaps import GapWarning, Tally
from millrace.predict.latency import p99_ms, requests_of, rows_per_s
from millrace.predict.predictor import Predictor, open, predictor_of
from millrace.predict.rows import trimmed
from millrace.predict.values import moment_of

__all__ = [
    "Arrays",
    "GapWarning",
    "Predictor",
    "Tally",
    "moment_of",
    "open",
    "p99_ms",
    "predict_file",
    "predictor_of",
    "requests_of",
    "rows_per_s",
    "trimmed",
]
