"""Things that fit and compile to ONNX: one short file per family."""

from millrace.models.compile import compile_features, compile_model
from millrace.models.families import FAMILIES, Family
from millrace.models.fitted import Fitted

__all__ = ["FAMILIES", "Family", "Fitted", "compile_features", "compile_model"]
