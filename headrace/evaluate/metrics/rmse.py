"""RMSE: the root of the mean squared error."""

import numpy as np

from headrace.evaluate.formulas import Sums, ratio

FORMULA = Sums(
    lambda y, scores, decided: np.square(scores - y)[:, None],
    lambda sums, total: float(np.sqrt(ratio(float(sums[0]), total))),
)
