"""How many seconds ago the latest event happened."""

import math

import numpy as np
import polars as pl

from headrace.clock import US_PER_S
from headrace.windows.row_ranges import NO_EVENT
from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, present

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
    """See `AggregateKind`."""
    return None if math.isnan(latest) else (moment - latest) / US_PER_S


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    latest = visible.ranges.max(visible.history.time[visible.ranges.events])
    passed = visible.times - np.where(latest == NO_EVENT, visible.times, latest)
    return present(passed / US_PER_S, latest != NO_EVENT)
