"""R²: the share of the target's variance that the predictions explain."""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import Sums


def _columns(y: Floats, scores: Floats, decided: Floats) -> Floats:
    """Return squared errors, the target less its mean, and the squares of that `(N, 3)`.

    Without its mean, the squares of a large target keep their digits.
    """
    return np.column_stack([np.square(scores - y), y - y.mean(), np.square(y - y.mean())])


def _value(sums: Floats, total: float) -> float:
    squares, y, y_squares = sums
    spread = y_squares - y * y / total
    # A constant target leaves nothing but rounding errors.
    if not spread > 1e-12 * max(float(y_squares), 1e-300):
        return float("nan")
    return 1 - float(squares) / float(spread)


FORMULA = Sums(_columns, _value)
