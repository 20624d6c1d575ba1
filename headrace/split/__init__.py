"""The rows that train a model, that choose between models and that judge it; none cross over."""

from headrace.split.divide import Split, split_rows
from headrace.split.folds import Fold, folds, inner_folds
from headrace.split.timeline import timeline

__all__ = [
    "Fold",
    "Split",
    "folds",
    "inner_folds",
    "split_rows",
    "timeline",
]
