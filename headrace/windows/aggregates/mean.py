"""The mean of a column."""

import polars as pl

from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, divide

NUMBER_STATES: dict[str, NumberState] = {}
EMPTY = None


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("sum", of, where), State("count", of, where)]


def finish(states: tuple[float, float], moment: int) -> float | None:
    """See `AggregateKind`.

    >>> finish((15.0, 3.0), 0)
    5.0
    """
    total, count = states
    return total / count if count else None


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    return divide(visible.ranges.sum(visible.numbers), visible.ranges.count())
