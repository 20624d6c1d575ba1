"""Macro F1: the mean of the classes' F1, each class counting the same."""

import numpy as np

from headrace.evaluate.formulas import Sums, by_class, f1_by_class

FORMULA = Sums(by_class, lambda sums, total: float(np.nanmean(f1_by_class(sums)[0])))
