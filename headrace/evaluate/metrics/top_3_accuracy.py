"""Top-3 accuracy: the share of rows whose class is among the three with the highest probability."""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import mean_of_rows


def _hit_top_3(y: Floats, scores: Floats, decided: Floats) -> Floats:
    own = scores[np.arange(len(y)), y.astype(np.int64)]
    return np.asarray((scores > own[:, None]).sum(axis=1) < 3, np.float64)


FORMULA = mean_of_rows(_hit_top_3)
