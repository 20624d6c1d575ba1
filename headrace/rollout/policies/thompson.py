"""Thompson sampling: an arm gets the probability with which it is the best one.

Values of 0 and 1 have a Beta posterior, after Chapelle and Li (2011,
https://papers.nips.cc/paper/4321); any other values one whose mean is normal, with the variance
that was found. The probability is the share of draws from the posterior in which an arm is best.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.arrays import Floats
from headrace.rollout.policies.policy import Feedback

_DRAWS = 10_000
_PRIOR = 1.0
_LEAST_VARIANCE = 1e-6


class Thompson:
    """Thompson sampling; the state holds, by arm, count, sum and sum of squares.

    >>> policy = Thompson()
    >>> state = policy.start(2, 0)
    >>> policy.weigh(state, (), seed=1).round(1).tolist()
    [0.5, 0.5]
    """

    def start(self, arms: int, width: int) -> dict[str, Any]:
        """See `Policy`."""
        return {"count": [0] * arms, "sum": [0.0] * arms, "squares": [0.0] * arms, "binary": True}

    def update(self, state: Mapping[str, Any], feedback: Feedback) -> dict[str, Any]:
        """See `Policy`."""
        arms = len(state["count"])
        value = feedback.value
        sums = np.bincount(feedback.arm, value, arms)
        squares = np.bincount(feedback.arm, value * value, arms)
        counts = np.bincount(feedback.arm, minlength=arms)
        return {
            "count": [int(old + new) for old, new in zip(state["count"], counts, strict=True)],
            "sum": [float(old + new) for old, new in zip(state["sum"], sums, strict=True)],
            "squares": [
                float(old + new) for old, new in zip(state["squares"], squares, strict=True)
            ],
            "binary": bool(state["binary"] and np.isin(value, (0.0, 1.0)).all()),
        }

    def weigh(self, state: Mapping[str, Any], context: Sequence[float], seed: int) -> Floats:
        """See `Policy`."""
        generator = np.random.default_rng(seed)
        count = np.array(state["count"], dtype=np.float64)
        total = np.array(state["sum"])
        shape = (_DRAWS, len(count))
        if state["binary"]:
            draws = generator.beta(_PRIOR + total, _PRIOR + count - total, shape)
        else:
            # One imagined value of 1/2 with the largest variance, so that every arm is tried.
            mean = (total + 0.5) / (count + 1)
            variance = (np.array(state["squares"]) + 0.5) / (count + 1) - mean**2
            spread = np.sqrt(np.maximum(variance, _LEAST_VARIANCE) / (count + 1))
            draws = generator.normal(mean, spread, shape)
        return np.asarray(np.bincount(draws.argmax(axis=1), minlength=len(count)) / _DRAWS)
