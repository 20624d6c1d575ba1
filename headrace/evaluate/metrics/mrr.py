"""MRR: one divided by the place of a query's first relevant row, 0 where the list shows none.

In the first tie with relevant rows, c of N, the j-th row is the first relevant one in a share
C(N - j, c - 1) / C(N, c) of the orders (McSherry and Najork, 2008).
"""

import numpy as np
from scipy.special import gammaln

from headrace.arrays import Floats
from headrace.evaluate.lists import Lists, divide


def of_queries(lists: Lists, cut: int | None) -> Floats:
    """See `ListFormula`."""
    size = lists.tie_size.astype(np.float64)
    relevant = lists.tie_relevant
    behind = size - (lists.place - lists.tie_start)
    may_be_first = (relevant > 0) & (lists.relevant_before == 0) & (behind >= relevant - 1)
    counts = lists.within(cut) & may_be_first

    share = np.zeros(len(size))
    behind, relevant, size = behind[counts], relevant[counts], size[counts]
    share[counts] = np.exp(_log_choose(behind, relevant - 1) - _log_choose(size, relevant))
    # Where nothing is relevant the query is left out.
    found = lists.add_up(share / lists.place)
    return divide(found, (lists.relevant > 0).astype(np.float64))


def _log_choose(n: Floats, k: Floats) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
