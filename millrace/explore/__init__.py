"""What the data is like before anything is learned: relations to the target, leaks, and whether the split is fair."""

from millrace.explore.leaks import leaks
from millrace.explore.order import order_checks
from millrace.explore.relation import balance, relations
from millrace.explore.shift import split_checks

__all__ = ["balance", "leaks", "order_checks", "relations", "split_checks"]
