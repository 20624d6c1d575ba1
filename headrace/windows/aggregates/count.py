"""The number of events that a row sees."""

import numpy as np
import polars as pl

from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents

NUMBER_STATES = {
    "count": NumberState("add", lambda value, time: 1.0, lambda values, times: np.ones(len(times)))
}
EMPTY = 0


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("count", of, where)]


def finish(count: float, moment: int) -> int:
    """See `AggregateKind`."""
    return int(count)


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    return pl.Series(visible.ranges.count())
