"""Rows in the order of their scores."""

import numpy as np

from headrace.arrays import Floats


class Ranking:
    """Rows from the highest score to the lowest, ties together.

    Parameters: `y (N,)`, 1 for an event and 0 for none; `scores (N,)`.
    """

    def __init__(self, y: Floats, scores: Floats) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        self.ends = np.flatnonzero(np.concatenate([ranked[1:] != ranked[:-1], [True]]))
        self.y = y[self.order]

    def counts(self, weight: Floats) -> tuple[Floats, Floats]:
        """The weight of positives and of negatives down to the end of each group of ties."""
        ranked = weight[self.order]
        positives = np.cumsum(ranked * self.y)[self.ends]
        return positives, np.cumsum(ranked)[self.ends] - positives
