"""LinUCB: the arm whose value is highest for a row, as far as it may be (Li et al. 2010).

Each arm has a ridge regression of its values on the context (https://arxiv.org/abs/1003.0146,
algorithm 1). The arm with the greatest upper bound gets the row, but for the floors of the others.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.arrays import Floats
from headrace.rollout.policies.policy import Feedback

_RIDGE = 1.0
WIDTH = 1.0
"""How many standard deviations an upper bound is above the mean."""


class LinUcb:
    """LinUCB; `width` is how many standard deviations an upper bound is above the mean."""

    def __init__(self, width: float = WIDTH) -> None:
        self._width = width

    def start(self, arms: int, width: int) -> dict[str, Any]:
        """See `Policy`."""
        size = width + 1
        return {
            "gram": [(_RIDGE * np.eye(size)).tolist() for _ in range(arms)],
            "sum": [[0.0] * size for _ in range(arms)],
        }

    def update(self, state: Mapping[str, Any], feedback: Feedback) -> dict[str, Any]:
        """See `Policy`."""
        grams = np.array(state["gram"])
        sums = np.array(state["sum"])
        # The first column is 1: the value of an arm where all of the context is 0.
        context = np.column_stack([np.ones(len(feedback.value)), feedback.context])
        for arm in range(len(grams)):
            own = feedback.arm == arm
            grams[arm] += context[own].T @ context[own]
            sums[arm] += context[own].T @ feedback.value[own]
        return {"gram": grams.tolist(), "sum": sums.tolist()}

    def weigh(self, state: Mapping[str, Any], context: Sequence[float], seed: int) -> Floats:
        """See `Policy`."""
        bounds = self.solve(state)
        weights = np.zeros(len(bounds.mean))
        weights[bounds.best(np.array([1.0, *context]), self._width)] = 1.0
        return weights

    @staticmethod
    def solve(state: Mapping[str, Any]) -> "UpperBounds":
        """Solve the regressions once, for many rows."""
        inverse = np.linalg.inv(np.array(state["gram"]))
        mean = np.einsum("kij,kj->ki", inverse, np.array(state["sum"]))
        return UpperBounds(mean, inverse)


class UpperBounds:
    """Solved regressions: coefficients `(K, D + 1)` and their covariances `(K, D + 1, D + 1)`."""

    def __init__(self, mean: Floats, inverse: Floats) -> None:
        self.mean = mean
        self.inverse = inverse

    def best(self, x: Floats, width: float) -> int:
        """Return the arm with the greatest upper bound for a row `x (D + 1,)`."""
        spread = np.sqrt(np.maximum(np.dot(np.dot(self.inverse, x), x), 0.0))
        return int((np.dot(self.mean, x) + width * spread).argmax())


class LinUcbChooser:
    """Chooses arms for rows by solved regressions: the best one, but for the floors of the others.

    Parameters: `columns`, those of the context; `state`, as the policy has published it.
    """

    def __init__(self, columns: Sequence[str], state: Mapping[str, Any], floor: float) -> None:
        self.columns = columns
        self._bounds = LinUcb.solve(state)
        self._arms = len(state["sum"])
        self._floor = floor

    def choose(self, context: Sequence[float]) -> tuple[int, float]:
        """Return the place of the arm for a row, and the probability with which it was chosen."""
        best = self._bounds.best(np.array([1.0, *context]), WIDTH)
        most = 1.0 - self._floor * (self._arms - 1)
        if self._floor == 0.0 or random.random() < most:
            return best, most
        others = [arm for arm in range(self._arms) if arm != best]
        return random.choice(others), self._floor
