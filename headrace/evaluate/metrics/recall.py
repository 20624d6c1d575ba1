"""Recall: the share of events that get a yes; 0 where there is no event."""

from headrace.evaluate.formulas import Sums, confusion, ratio

FORMULA = Sums(confusion, lambda sums, total: ratio(sums[0], sums[2], 0.0))
