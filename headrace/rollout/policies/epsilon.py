"""Epsilon-greedy: the arm with the best mean, but for a share that is spread over all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.arrays import Floats
from headrace.rollout.policies.policy import Feedback


class EpsilonGreedy:
    """Epsilon-greedy with the share `explore` for all arms together.

    >>> policy = EpsilonGreedy(0.1)
    >>> one = Feedback(np.array([1]), np.array([1.0]), np.zeros((1, 0)))
    >>> policy.weigh(policy.update(policy.start(2, 0), one), (), seed=1).round(2).tolist()
    [0.05, 0.95]
    """

    def __init__(self, explore: float) -> None:
        self._explore = explore

    def start(self, arms: int, width: int) -> dict[str, Any]:
        """See `Policy`."""
        return {"count": [0] * arms, "sum": [0.0] * arms}

    def update(self, state: Mapping[str, Any], feedback: Feedback) -> dict[str, Any]:
        """See `Policy`."""
        arms = len(state["count"])
        counts = np.bincount(feedback.arm, minlength=arms)
        sums = np.bincount(feedback.arm, feedback.value, arms)
        return {
            "count": [int(old + new) for old, new in zip(state["count"], counts, strict=True)],
            "sum": [float(old + new) for old, new in zip(state["sum"], sums, strict=True)],
        }

    def weigh(self, state: Mapping[str, Any], context: Sequence[float], seed: int) -> Floats:
        """See `Policy`."""
        count = np.array(state["count"])
        if not count.any():
            return np.full(len(count), 1 / len(count))
        mean = np.array(state["sum"]) / np.maximum(count, 1)
        weights = np.full(len(count), self._explore / len(count))
        weights[np.argmax(mean)] += 1 - self._explore
        return weights
