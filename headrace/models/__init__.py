"""The families of models, one short file each: they fit, predict, and compile to ONNX."""

from headrace.models import calibrate
from headrace.models.compile import FittedMember, compile_features, compile_model
from headrace.models.families import FAMILIES
from headrace.models.fitted import Fitted, Matrix, Sample, TrialPruned, ValidationSet
from headrace.models.gbdt import plan_trees

__all__ = [
    "FAMILIES",
    "Fitted",
    "FittedMember",
    "Matrix",
    "Sample",
    "TrialPruned",
    "ValidationSet",
    "calibrate",
    "compile_features",
    "compile_model",
    "plan_trees",
]
