"""The rows of each query from the highest score down, and what every tie hides.

Rows with equal scores have no order. A metric of a query is therefore the mean over all orders of
its ties (McSherry and Najork, 2008, "Computing information retrieval performance measures
efficiently in the presence of tied scores"). A query whose scores are 3, 2, 2, 2, 1:

    place              1     2   3   4     5
    tie                0   └─── 1 ───┘     2
    relevant           no   yes  no yes    no
    of the tie         0/1      2/3       0/1      `tie_relevant` of `tie_size`
    before the tie      0        0          2      `relevant_before`
"""

from functools import cached_property

import numpy as np

from headrace.arrays import Floats, Integers, Mask
from headrace.tasks import Queries


class Lists:
    """The lists of all queries, one behind the other, ties together.

    Parameters: `grades (N,)`, `scores (N,)` and the queries of the rows. Arrays `(N,)` follow the
    rows of the lists; `place` counts from 1 in each list, `gain` is the mean gain of the row's tie.

    >>> from headrace.tasks import Grading
    >>> queries = Queries(np.array([0, 0, 0]), Grading())
    >>> lists = Lists(np.array([0.0, 1.0, 2.0]), np.array([0.5, 0.5, 0.9]), queries)
    >>> lists.place.tolist(), lists.gain.tolist()
    ([1, 2, 3], [3.0, 0.5, 0.5])
    """

    def __init__(self, grades: Floats, scores: Floats, queries: Queries) -> None:
        of_row = queries.of_row
        order = np.lexsort((-scores, of_row))
        self.query = of_row[order]
        self.queries = queries.count
        ranked = scores[order]
        begins_list = np.diff(self.query, prepend=-1) > 0
        begins_tie = begins_list | (np.diff(ranked, prepend=np.nan) != 0)
        self._list_starts = np.flatnonzero(begins_list)
        starts = np.flatnonzero(begins_tie)
        tie = np.cumsum(begins_tie) - 1
        rows = np.arange(len(order))

        self.size = np.diff(np.append(self._list_starts, len(order)))[self.query]
        self.place = rows - self._list_starts[self.query] + 1
        self.tie_start = self.place[starts][tie] - 1
        """How many rows stand before the row's tie."""
        sizes = np.diff(np.append(starts, len(order)))
        self.tie_size: Integers = sizes[tie]
        relevant = queries.grading.is_relevant(grades)[order].astype(np.float64)
        self.tie_relevant = _add_up(relevant, starts)[tie]
        before = np.cumsum(relevant) - relevant
        self.relevant_before = before[starts][tie] - before[self._list_starts][self.query]

        self._gains = queries.grading.gains(grades)
        self.gain = (_add_up(self._gains[order], starts) / sizes)[tie]
        self._of_row = of_row
        self.relevant = _add_up(relevant, self._list_starts)
        """How many relevant rows each query has `(Q,)`."""

    def add_up(self, values: Floats) -> Floats:
        """Add up values of rows `(N,)` by query `(Q,)`."""
        return _add_up(values, self._list_starts)

    def within(self, cut: int | None) -> Mask:
        """Say which rows `(N,)` are among the first so many of their list; all without a cut."""
        return np.ones(len(self.place), bool) if cut is None else self.place <= cut

    def lengths(self, cut: int | None) -> Floats:
        """Return how long each list is `(Q,)`, at most `cut`."""
        sizes = self.size[self._list_starts].astype(np.float64)
        return sizes if cut is None else np.minimum(sizes, cut)

    def shown(self, cut: int | None) -> Integers:
        """Return how many rows of its tie each row's list shows `(N,)`; a cut may divide a tie."""
        if cut is None:
            return self.tie_size
        return np.asarray(np.clip(cut - self.tie_start, 0, self.tie_size))

    @cached_property
    def _best_gains(self) -> Floats:
        """The gains of the best order."""
        return self._gains[np.lexsort((-self._gains, self._of_row))]

    def best(self, cut: int | None) -> Floats:
        """Return the DCG of the best order of each query `(Q,)`."""
        return self.add_up(self.within(cut) * self._best_gains * discount(self.place))


def discount(place: Integers) -> Floats:
    """Return how much a place counts: Järvelin and Kekäläinen (2002), "Cumulated gain"."""
    return np.asarray(1 / np.log2(place + 1.0))


def divide(over: Floats, under: Floats) -> Floats:
    """Divide by query; NaN where nothing can be found, so that the query is left out."""
    absent = np.full(len(over), np.nan)
    return np.asarray(np.divide(over, under, out=absent, where=under > 0))


def _add_up(values: Floats, starts: Integers) -> Floats:
    return np.asarray(np.add.reduceat(values, starts)) if len(starts) else np.empty(0)
