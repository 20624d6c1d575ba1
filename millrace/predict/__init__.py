"""The predictor: the same graph for a dict, a table and a file."""

from millrace.predict.batch import predict_file
from millrace.predict.predictor import Predictor, open

__all__ = ["Predictor", "open", "predict_file"]
