"""Things that fit and compile to ONNX: one short file per family."""

from headrace.models import calibrate
from headrace.models.compile import Part, compile_features, compile_model
from headrace.models.families import FAMILIES, Family
from headrace.models.fitted import Fitted, Matrix, Pruned, Sample, Watched, probabilities

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
