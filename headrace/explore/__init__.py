"""Looks at the data before anything is learned: relations to the target, leaks, a fair split."""

from headrace.explore.leaks import leaks
from headrace.explore.order import order_checks
from headrace.explore.relation import balance, relations
from headrace.explore.shift import split_checks

__all__ = [
    "balance",
    "leaks",
    "order_checks",
    "relations",
    "split_checks",
]
