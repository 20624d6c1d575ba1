"""Average precision: the precision at each event, averaged."""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import Ranked
from headrace.evaluate.ranking import Ranking


def _value(ranking: Ranking, weight: Floats) -> float:
    hits, misses = ranking.counts(weight)
    if not (hits[-1] > 0 and misses[-1] > 0):
        return float("nan")
    above = hits + misses
    precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
    return float(np.diff(hits, prepend=0.0) @ precision / hits[-1])


FORMULA = Ranked(_value)
