"""ROC AUC: the share of pairs of an event and another row that are in order, ties counting half.

Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve".
"""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import Ranked
from headrace.evaluate.ranking import Ranking


def _value(ranking: Ranking, weight: Floats) -> float:
    hits, misses = ranking.counts(weight)
    if not (hits[-1] > 0 and misses[-1] > 0):
        return float("nan")
    area = np.diff(misses, prepend=0.0) @ (hits + np.concatenate([[0.0], hits[:-1]])) / 2
    return float(area / (hits[-1] * misses[-1]))


FORMULA = Ranked(_value)
