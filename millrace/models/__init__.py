"""Things that fit and compile to ONNX: one short file per family."""

from millrace.models import calibrate
from millrace.models.compile import Part, compile_features, compile_model
from millrace.models.families import FAMILIES, Family
from millrace.models.fitted import Fitted, Matrix, Pruned, Sample, Watched, probabilities

__all__ = [
    "FAMILIES",
    "Family",
    "Fitted",
    "Matrix",
    "Part",
    "Pruned",
    "Sample",
    "Watched",
    "calibrate",
    "compile_features",
    "compile_model",
    "probabilities",
]
