"""Weighted F1: the mean of the classes' F1, weighted by their rows."""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import Sums, by_class, f1_by_class, ratio


def _value(sums: Floats, total: float) -> float:
    f1, actual = f1_by_class(sums)
    return ratio(float(np.nansum(f1 * actual)), float(actual.sum()))


FORMULA = Sums(by_class, _value)
