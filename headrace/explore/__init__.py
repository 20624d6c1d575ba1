"""Looks at the data before anything is learned: relations to the target, leaks, a fair split."""

from headrace.explore.leaks import leaks
from headrace.explore.order import check_order
from headrace.explore.relation import balance, relations
from headrace.explore.shift import Division, check_split

__all__ = [
    "Division",
    "balance",
    "check_order",
    "check_split",
    "leaks",
    "relations",
]
