"""Calibration error: how far predicted shares lie from observed ones, in ten equally filled bins.

Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian
binning".
"""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import Sums, ratio

_BINS = 10


def _columns(y: Floats, scores: Floats, decided: Floats) -> Floats:
    """Put `y - p` of each row in the column of its bin `(N, 10)`.

    The absolute sums of the columns add up to the error.
    """
    columns = np.zeros((len(y), _BINS))
    rank = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    columns[np.arange(len(y)), rank * _BINS // max(len(y), 1)] = y - scores
    return columns


FORMULA = Sums(_columns, lambda sums, total: ratio(float(np.abs(sums).sum()), total))
