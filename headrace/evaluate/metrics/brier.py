"""Brier score: the mean squared difference between the probability and the outcome, 0 or 1.

Brier (1950), "Verification of forecasts expressed in terms of probability".
"""

import numpy as np

from headrace.evaluate.formulas import mean_of_rows

FORMULA = mean_of_rows(lambda y, scores, decided: np.square(scores - y))
