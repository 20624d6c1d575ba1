"""Rows in the order of their scores."""

import numpy as np

from headrace.arrays import Floats


class Ranking:
    """Rows from the highest score to the lowest, ties together.

    Parameters: `y (N,)`, 1 for an event and 0 for none; `scores (N,)`. `order (N,)` lists the rows
    by falling score; `ends (T,)` are the places in it where a group of ties ends.

    >>> ranking = Ranking(np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.9]))
    >>> ranking.order.tolist(), ranking.ends.tolist()
    ([2, 0, 1], [0, 2])
    >>> positives, negatives = ranking.counts(np.ones(3))
    >>> positives.tolist(), negatives.tolist()
    ([1.0, 2.0], [0.0, 1.0])
    """

    def __init__(self, y: Floats, scores: Floats) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        self.ends = np.flatnonzero(np.concatenate([ranked[1:] != ranked[:-1], [True]]))
        self.y = y[self.order]

    def counts(self, weight: Floats) -> tuple[Floats, Floats]:
        """Sum the weights of positives and of negatives `(T,)` down to each group of ties."""
        ranked = weight[self.order]
        positives = np.cumsum(ranked * self.y)[self.ends]
        return positives, np.cumsum(ranked)[self.ends] - positives
