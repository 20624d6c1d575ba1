"""Accuracy: the share of rows whose class is right."""

import numpy as np

from headrace.evaluate.formulas import mean_of_rows

FORMULA = mean_of_rows(lambda y, scores, decided: (decided == y).astype(np.float64))
