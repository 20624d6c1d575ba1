"""Precision: the share of yeses that are right, or of the list's rows that are relevant.

It is 0 where there is no yes; a query without a relevant row is left out.
"""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.formulas import Sums, confusion, ratio
from headrace.evaluate.lists import Lists, divide

FORMULA = Sums(confusion, lambda sums, total: ratio(sums[0], sums[1], 0.0))


def of_queries(lists: Lists, cut: int | None) -> Floats:
    """See `ListFormula`."""
    shown = lists.add_up(lists.within(cut) * lists.tie_relevant / lists.tie_size)
    return divide(shown, np.where(lists.relevant > 0, lists.lengths(cut), 0.0))
