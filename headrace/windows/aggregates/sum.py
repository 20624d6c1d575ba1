"""The sum of a column; 0 of no event."""

import polars as pl

from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents

NUMBER_STATES = {
    "sum": NumberState("add", lambda value, time: float(value), lambda values, times: values)
}
EMPTY = 0.0


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("sum", of, where)]


def finish(total: float, moment: int) -> float:
    """See `AggregateKind`."""
    return total


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    return pl.Series(visible.ranges.sum(visible.numbers))
