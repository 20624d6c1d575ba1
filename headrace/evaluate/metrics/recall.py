"""Recall: the share of events that get a yes, or of a query's relevant rows that the list shows.

It is 0 where there is no event; a query without a relevant row is left out.
"""

from headrace.arrays import Floats
from headrace.evaluate.formulas import Sums, confusion, ratio
from headrace.evaluate.lists import Lists, divide

FORMULA = Sums(confusion, lambda sums, total: ratio(sums[0], sums[2], 0.0))


def of_queries(lists: Lists, cut: int | None) -> Floats:
    """See `ListFormula`."""
    shown = lists.within(cut) * lists.tie_relevant / lists.tie_size
    return divide(lists.add_up(shown), lists.relevant)
