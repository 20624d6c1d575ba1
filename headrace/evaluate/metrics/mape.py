"""MAPE: the mean absolute error as a share of the target."""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import mean_of_rows


def _divide_error(y: Floats, scores: Floats, decided: Floats) -> Floats:
    return np.asarray(np.abs(scores - y) / np.maximum(np.abs(y), np.finfo(np.float64).eps))


FORMULA = mean_of_rows(_divide_error)
