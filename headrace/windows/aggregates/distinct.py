"""The number of different values of a column.

Offline it is exact. Online it is exact while no tile of the window holds more than 511 values;
beyond that it has a standard error of 1.6 % (see `hyperloglog`).
"""

import polars as pl

from headrace.windows import hyperloglog
from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, blank_empty

NUMBER_STATES: dict[str, NumberState] = {}
EMPTY = None


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("distinct", of, where)]


def finish(sketches: list[hyperloglog.Sketch], moment: int) -> int | None:
    """See `AggregateKind`."""
    return hyperloglog.estimate(sketches) or None


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`."""
    # Ranks are whole numbers, which ranges can compare, whatever the values are.
    codes = visible.values.rank("dense").cast(pl.Int64).to_numpy()
    return blank_empty(visible.ranges.distinct(codes), visible.ranges.count() > 0)
