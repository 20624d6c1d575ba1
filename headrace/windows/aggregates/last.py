"""The value of the latest event; of events of one time, the one with the greatest id counts."""

from typing import Any

import numpy as np
import polars as pl

from headrace.windows.row_ranges import NO_EVENT
from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, blank_empty

NUMBER_STATES: dict[str, NumberState] = {}
EMPTY = None


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("last", of, where)]


def finish(latest: tuple[int, Any, Any] | None, moment: int) -> Any:
    """See `AggregateKind`. The state is a time, a sequence and a value."""
    return None if latest is None else latest[2]


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    history = visible.history
    latest = visible.latest
    values = history.frame[visible.of]
    # Without an event there is no row to take a value from.
    if not len(history.order):
        return pl.Series([None] * len(latest), dtype=values.dtype)
    return blank_empty(values.gather(history.order[np.maximum(latest, 0)]), latest != NO_EVENT)
