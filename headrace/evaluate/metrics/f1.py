"""F1: the harmonic mean of precision and recall."""

from headrace.evaluate.formulas import Sums, confusion, ratio

FORMULA = Sums(confusion, lambda sums, total: ratio(2 * sums[0], sums[1] + sums[2], 0.0))
