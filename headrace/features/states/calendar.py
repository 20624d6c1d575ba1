"""The state of a datetime column, and calendar look-ups that are exact for every date.

The Gregorian calendar repeats after 400 years, weekdays included (146,097 days are 20,871 weeks),
so one table of that length serves every date before and after 1970, and no arithmetic on years is
needed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from headrace.arrays import Integers
from headrace.clock import DAY_US
from headrace.features.graph.graph import Graph
from headrace.features.graph.reserved import MISSING_TIME

CYCLE_DAYS = 146_097
Floats = npt.NDArray[np.float32]


class Span(Struct, frozen=True):
    """The range of a column of times in microseconds, its missing rows, and whether it holds times of day at all."""

    low: int | None
    high: int | None
    missing: int
    timed: bool

    def cycles(self) -> list[str]:
        """The cycles that the rows went through at least twice: day, week, month, year.

        A cycle seen once is absolute time in disguise: a model would learn the past by heart and
        meet values in service that it never saw.
        """
        if self.low is None or self.high is None:
            return []
        days = (self.high - self.low) / DAY_US
        lengths = {"day": 1, "week": 7, "month": 31, "year": 366}
        return [
            name
            for name, length in lengths.items()
            if days >= 2 * length and (name != "day" or self.timed)
        ]


def fit(column: pl.Series) -> Span:
    """Looks at a column of `Datetime("us")`."""
    times = column.drop_nulls().to_physical()
    if not len(times):
        return Span(None, None, len(column), False)
    low, high = times.min(), times.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return Span(low, high, column.null_count(), bool((times % DAY_US != 0).any()))


def merge(a: Span, b: Span) -> Span:
    """The span of two partitions together."""
    lows = [span.low for span in (a, b) if span.low is not None]
    highs = [span.high for span in (a, b) if span.high is not None]
    return Span(
        min(lows, default=None), max(highs, default=None), a.missing + b.missing, a.timed or b.timed
    )


def day_numbers() -> dict[str, Integers]:
    """Month (1 to 12), day (1 to 31), weekday (Monday 0) and day of the year (1 to 366) of 400 years from 1970 on."""
    dates = np.arange(CYCLE_DAYS).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    return {
        "month": months.astype(np.int64) % 12 + 1,
        "day": (dates - months).astype(np.int64) + 1,
        "weekday": (np.arange(CYCLE_DAYS) + 3) % 7,  # 1970-01-01 was a Thursday
        "day_of_year": (dates - dates.astype("datetime64[Y]")).astype(np.int64) + 1,
    }


def table(columns: list[npt.NDArray[Any]], length: int) -> Floats:
    """Columns side by side as a look-up table `[length, len(columns)]`; no column is fine."""
    return np.ascontiguousarray(np.array(columns, np.float32).reshape(len(columns), length).T)


def lookup(
    graph: Graph, times: str, width: int, day_table: Floats, minute_table: Floats
) -> tuple[str, str]:
    """Looks every time up in both tables.

    Parameters: `times` int64 `[N, width]`; `day_table` `[146097, d]`; `minute_table` `[1440, m]`.
    Returns the float32 tensor `[N, width * (d + m)]` (a column's day entries, then its minute
    entries) and the booleans `[N, width]` that say which times are missing; there the entries are
    those of 1970-01-01.
    """
    absent = graph.node("Equal", times, graph.constant(MISSING_TIME, np.int64))
    present = graph.node("Where", absent, graph.constant(0, np.int64), times)
    day_length = graph.constant(DAY_US, np.int64)
    time_of_day = graph.node(
        "Mod", present, day_length
    )  # Mod follows the divisor's sign, so this floors before 1970 too
    day = graph.node("Div", graph.node("Sub", present, time_of_day), day_length)
    blocks = []
    if day_table.shape[1]:
        index = graph.node("Mod", day, graph.constant(CYCLE_DAYS, np.int64))
        blocks.append(graph.node("Gather", graph.constant(day_table), index))
    if minute_table.shape[1]:
        minute = graph.node("Div", time_of_day, graph.constant(60 * 10**6, np.int64))
        blocks.append(graph.node("Gather", graph.constant(minute_table), minute))
    joined = blocks[0] if len(blocks) == 1 else graph.node("Concat", *blocks, axis=2)
    entries = width * (day_table.shape[1] + minute_table.shape[1])
    return graph.node("Reshape", joined, graph.constant([0, entries], np.int64)), absent
