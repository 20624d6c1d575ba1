"""Hit rate: the share of queries with a relevant row in the list.

Where the cut shows m of the N rows of the first tie with relevant rows, c of them, none is shown in
a share C(N - m, c) / C(N, c) of the orders.
"""

import numpy as np
from scipy.special import gammaln

from headrace.arrays import Floats
from headrace.evaluate.lists import Lists, divide


def of_queries(lists: Lists, cut: int | None) -> Floats:
    """See `ListFormula`."""
    # The first row of a tie stands for the tie.
    is_first = lists.place == lists.tie_start + 1
    decides = is_first & (lists.tie_relevant > 0) & (lists.relevant_before == 0)
    size = lists.tie_size[decides].astype(np.float64)
    relevant = lists.tie_relevant[decides]
    hidden = size - lists.shown(cut)[decides]
    # Fewer hidden rows than relevant ones: one of them is shown in every order.
    missed = np.exp(_log_arrange(hidden, relevant) - _log_arrange(size, relevant))
    hit = np.zeros(len(decides))
    hit[decides] = np.where(hidden >= relevant, 1 - missed, 1.0)
    return divide(lists.add_up(hit), (lists.relevant > 0).astype(np.float64))


def _log_arrange(n: Floats, k: Floats) -> Floats:
    """Return the logarithm of n! / (n - k)!, for k up to n."""
    return np.asarray(gammaln(n + 1) - gammaln(np.maximum(n - k, 0) + 1))
