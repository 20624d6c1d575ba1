"""The standard deviation of a column, over n - 1; missing for fewer than two events.

It is computed from sums of squares, which tiles can add up:

    spread = sum(x²) - sum(x)² / n        std = sqrt(spread / (n - 1))

The difference of two large sums has few digits left. So `x` is a value's distance from about the
mean in history, and digits are lost only if the values of a key lie far from that mean: a deviation
below 3e-7 of the distance is 0.
"""

import math

import numpy as np
import polars as pl

from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, blank_empty

NUMBER_STATES = {
    "deviation": NumberState(
        "add", lambda value, time: value, lambda values, times: values, from_origin=True
    ),
    "square": NumberState(
        "add", lambda value, time: value * value, lambda values, times: values**2, from_origin=True
    ),
}
EMPTY = None
TOLERANCE = 1e-3
"""Near the limit of 3e-7 rounding leaves three digits of a deviation."""
_NOISE = 1e-13
"""The share of the squares that rounding may leave over if all values are the same."""


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("count", of, where), State("deviation", of, where), State("square", of, where)]


def finish(states: tuple[float, float, float], moment: int) -> float | None:
    """See `AggregateKind`.

    >>> finish((3, 0.0, 8.0), 0)
    2.0
    """
    count, deviations, squares = states
    if count < 2:
        return None
    spread = squares - deviations * deviations / count
    return math.sqrt(spread / (count - 1)) if spread > _NOISE * squares else 0.0


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    numbers = visible.numbers
    if len(numbers):
        numbers = numbers - numbers.mean()

    count = visible.ranges.count()
    squares = visible.ranges.sum(numbers**2)
    spread = squares - visible.ranges.sum(numbers) ** 2 / np.maximum(count, 1)
    variance = np.where(spread > _NOISE * squares, spread, 0.0) / np.maximum(count - 1, 1)
    return blank_empty(np.sqrt(variance), count > 1)
