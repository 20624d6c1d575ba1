"""Which rows train, which choose and which judge; nothing shared ever crosses."""

from millrace.split.divide import Parts, divide
from millrace.split.folds import Fold, folds, inner_folds
from millrace.split.timeline import timeline

__all__ = ["Fold", "Parts", "divide", "folds", "inner_folds", "timeline"]
