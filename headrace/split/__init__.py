"""Which rows train, which choose and which judge; nothing shared ever crosses."""

from headrace.split.divide import Parts, divide
from headrace.split.folds import Fold, folds, inner_folds
from headrace.split.timeline import timeline

__all__ = [
    "Fold",
    "Parts",
    "divide",
    "folds",
    "inner_folds",
    "timeline",
]
