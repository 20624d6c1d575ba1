"""The standard deviation of a column, over n - 1; missing for fewer than two events.

It is computed from sums of squares, which tiles can add up. Values are counted from about their
mean in history, so that digits are lost only where a key's values lie far from it: a deviation
below 3e-7 of that distance is 0.
"""

import math

import numpy as np
import polars as pl

from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, present

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
"""Near the limit rounding leaves three digits of a deviation."""
_NOISE = 1e-13
"""The share of the squares that rounding may leave of values that are all the same."""


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("count", of, where), State("deviation", of, where), State("square", of, where)]


def finish(states: tuple[float, float, float], moment: int) -> float | None:
    """See `AggregateKind`."""
    count, deviations, squares = states
    if count < 2:
        return None
    spread = squares - deviations * deviations / count
    return math.sqrt(spread / (count - 1)) if spread > _NOISE * squares else 0.0


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    numbers = visible.numbers
    numbers = numbers - (numbers.mean() if len(numbers) else 0.0)
    count, squares = visible.ranges.count(), visible.ranges.sum(numbers**2)
    spread = squares - visible.ranges.sum(numbers) ** 2 / np.maximum(count, 1)
    variance = np.where(spread > _NOISE * squares, spread, 0.0) / np.maximum(count - 1, 1)
    return present(np.sqrt(variance), count > 1)
