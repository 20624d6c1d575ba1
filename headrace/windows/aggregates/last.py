"""The value of the latest event; of events of one time, that of the greatest id."""

from typing import Any

import numpy as np
import polars as pl

from headrace.windows.row_ranges import NO_EVENT
from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, present

NUMBER_STATES: dict[str, NumberState] = {}
EMPTY = None


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("last", of, where)]


def finish(latest: tuple[int, Any, Any] | None, moment: int) -> Any:
    """See `AggregateKind`; the state is the time, the sequence and the value."""
    return None if latest is None else latest[2]


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    history, latest = visible.history, visible.latest
    values = history.frame[visible.of]
    if not len(history.order):
        return pl.Series([None] * len(latest), dtype=values.dtype)
    return present(values.gather(history.order[np.maximum(latest, 0)]), latest != NO_EVENT)
