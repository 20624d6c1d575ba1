"""NDCG: the discounted gain of the first rows of a query, by that of their best order.

Järvelin and Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques".
"""

from headrace.arrays import Floats
from headrace.evaluate.lists import Lists, discount, divide


def of_queries(lists: Lists, cut: int | None) -> Floats:
    """See `ListFormula`."""
    reached = lists.add_up(lists.within(cut) * lists.gain * discount(lists.place))
    return divide(reached, lists.best(cut))
