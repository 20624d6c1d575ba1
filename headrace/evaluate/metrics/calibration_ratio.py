"""Calibration ratio: predicted events divided by true events; 1 is best."""

import numpy as np

from headrace.evaluate.formulas import Sums, ratio

FORMULA = Sums(
    lambda y, scores, decided: np.column_stack([scores, y]),
    lambda sums, total: ratio(sums[0], sums[1]),
)
