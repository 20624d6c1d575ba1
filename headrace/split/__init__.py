"""Which rows train, which choose and which judge; nothing shared ever crosses."""

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
