"""The share of events for which `where` holds."""

import numpy as np
import polars as pl

from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, divide

NUMBER_STATES: dict[str, NumberState] = {}
EMPTY = None


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("count", None, where), State("count")]


def finish(states: tuple[float, float], moment: int) -> float | None:
    """See `AggregateKind`.

    >>> finish((1.0, 4.0), 0)
    0.25
    """
    matching, count = states
    return matching / count if count else None


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    # The ranges are those of all events: `holds` picks the matching ones among them.
    matching = visible.ranges.select(visible.holds).count()
    return divide(matching.astype(np.float64), visible.ranges.count())
