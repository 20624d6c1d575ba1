"""How many different values a column has: exact up to 512, then within a few percent (HyperLogLog)."""

import polars as pl

from headrace.windows import hyperloglog
from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents, present

NUMBER_STATES: dict[str, NumberState] = {}
EMPTY = None


def states(of: str | None, where: str | None) -> list[State]:
    """See `AggregateKind`."""
    return [State("distinct", of, where)]


def finish(sketches: list[hyperloglog.Sketch], moment: int) -> int | None:
    """See `AggregateKind`."""
    return hyperloglog.estimate(sketches) or None


def offline(visible: VisibleEvents) -> pl.Series:
    """See `AggregateKind`. Exact, whatever the number."""
    codes = visible.values.rank("dense").cast(pl.Int64).to_numpy()
    return present(visible.ranges.distinct(codes), visible.ranges.count() > 0)
