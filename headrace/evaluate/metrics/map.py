"""MAP: the precision at each relevant row of a query, averaged over these rows, then over queries.

Of a tie of N rows, c of them relevant, that begins behind p rows, s of them relevant, the j-th row
adds (c / N) (s + 1 + (c - 1) (j - 1) / (N - 1)) / (p + j) (McSherry and Najork, 2008).
"""

import numpy as np

from headrace.arrays import Floats
from headrace.evaluate.lists import Lists, divide


def of_queries(lists: Lists, cut: int | None) -> Floats:
    """See `ListFormula`."""
    in_tie = lists.place - lists.tie_start
    others = (lists.tie_relevant - 1) * (in_tie - 1) / np.maximum(lists.tie_size - 1, 1)
    hits = lists.relevant_before + 1 + others
    chance = lists.tie_relevant / lists.tie_size
    precision = np.where(lists.within(cut), chance * hits / lists.place, 0.0)
    most = lists.relevant if cut is None else np.minimum(lists.relevant, cut)
    return divide(lists.add_up(precision), most)
