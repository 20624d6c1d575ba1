"""The seam of policies: how the shares of arms follow what each has earned."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from msgspec import Struct

from headrace.arrays import Floats, Integers

STEPS = 1_000
"""Published shares are whole multiples of 1/STEPS: so a logged propensity is exact."""


class Feedback(Struct, frozen=True):
    """Closed rows: the arm of each `(N,)`, its value in [0, 1], and its context `(N, D)`."""

    arm: Integers
    value: Floats
    context: Floats


class Policy(Protocol):
    """What moves the shares of arms. A state is plain JSON, and belongs to the arms in order."""

    def start(self, arms: int, width: int) -> dict[str, Any]:
        """Return the state before any outcome; `width` is the number of context columns."""
        ...

    def update(self, state: Mapping[str, Any], feedback: Feedback) -> dict[str, Any]:
        """Return the state with the outcomes of closed rows; batch by batch or one by one."""
        ...

    def weigh(self, state: Mapping[str, Any], context: Sequence[float], seed: int) -> Floats:
        """Return the probability of each arm `(K,)` for a row; they sum to 1."""
        ...


def with_floor(weights: Floats, floor: float) -> Floats:
    """Return weights in whole steps that sum to 1, none below the floor.

    >>> with_floor(np.array([0.99, 0.01, 0.0]), 0.02).tolist()
    [0.951, 0.029, 0.02]
    """
    floor = math.ceil(floor * STEPS - 1e-9) / STEPS
    if floor * len(weights) > 1:
        return np.full(len(weights), 1 / len(weights))
    raised = floor + (1 - floor * len(weights)) * weights
    steps = np.floor(raised * STEPS + 1e-9).astype(np.int64)
    # What rounding leaves goes to the largest one.
    steps[np.argmax(raised)] += STEPS - steps.sum()
    return np.asarray(steps / STEPS)
