"""The smallest value of a column."""

import math

import polars as pl

from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, find_extreme

NUMBER_STATES = {
    "min": NumberState("smallest", lambda value, time: float(value), lambda values, times: values)
}
EMPTY = None


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("min", of, where)]


def finish(value: float, moment: int) -> float | None:
    """See `AggregateKind`."""
    return None if math.isnan(value) else value


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    return find_extreme(visible, -1)
