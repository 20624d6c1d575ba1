"""The seconds since the latest event."""

import math

import numpy as np
import polars as pl

from headrace.clock import US_PER_S
from headrace.windows.row_ranges import NO_EVENT
from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, blank_empty

NUMBER_STATES = {
    "time": NumberState(
        "largest", lambda value, time: float(time), lambda values, times: times.astype(np.float64)
    )
}
EMPTY = None


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("time", None, where)]


def finish(latest: float, moment: int) -> float | None:
    """See `AggregateKind`.

    >>> finish(1_000_000.0, 3_500_000)
    2.5
    """
    return None if math.isnan(latest) else (moment - latest) / US_PER_S


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    latest = visible.ranges.max(visible.history.time[visible.ranges.events])
    # A row without an event gets 0 here: its `NO_EVENT` would overflow.
    passed = visible.times - np.where(latest == NO_EVENT, visible.times, latest)
    return blank_empty(passed / US_PER_S, latest != NO_EVENT)
