"""MAE: the mean absolute error."""

import numpy as np

from headrace.evaluate.formulas import mean_of_rows

FORMULA = mean_of_rows(lambda y, scores, decided: np.abs(scores - y))
