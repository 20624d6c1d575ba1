"""Normalized entropy: the log loss divided by the log loss of predicting the mean.

He et al. (2014), "Practical lessons from predicting clicks on ads at Facebook".
"""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import Sums, log_losses, ratio


def _columns(y: Floats, scores: Floats, decided: Floats) -> Floats:
    return np.column_stack([log_losses(y, scores), y])


def _value(sums: Floats, total: float) -> float:
    return ratio(ratio(sums[0], total), _entropy(ratio(sums[1], total)))


def _entropy(share: float) -> float:
    if not 0 < share < 1:
        return float("nan")
    return float(-(share * np.log(share) + (1 - share) * np.log1p(-share)))


FORMULA = Sums(_columns, _value)
