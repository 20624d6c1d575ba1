"""Precision: the share of yeses that are right; 0 where there is no yes."""

from headrace.evaluate.formulas import Sums, confusion, ratio

FORMULA = Sums(confusion, lambda sums, total: ratio(sums[0], sums[1], 0.0))
