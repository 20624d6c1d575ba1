"""Balanced accuracy: the share of events that are right and that of other rows, averaged.

Brodersen et al. (2010), "The balanced accuracy and its posterior distribution".
"""

from headrace.arrays import Floats
from headrace.evaluate.formulas import Sums, confusion, ratio


def _value(sums: Floats, total: float) -> float:
    hits, yes, events = sums
    others = total - events
    true_negatives = others - (yes - hits)
    return (ratio(hits, events) + ratio(true_negatives, others)) / 2


FORMULA = Sums(confusion, _value)
