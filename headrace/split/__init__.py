"""The rows that train a model, that choose between models and that judge it; none cross over."""

from headrace.split.divide import Split, Strata, split_rows
from headrace.split.folds import Fold, folds, inner_folds
from headrace.split.queries import check_parts, check_queries, number_queries
from headrace.split.timeline import timeline

__all__ = [
    "Fold",
    "Split",
    "Strata",
    "check_parts",
    "check_queries",
    "folds",
    "inner_folds",
    "number_queries",
    "split_rows",
    "timeline",
]
