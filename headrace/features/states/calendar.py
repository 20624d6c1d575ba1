"""The state of a datetime column, and calendar look-ups that are exact for every date.

The Gregorian calendar repeats after 400 years, weekdays included: 146,097 days are 20,871 weeks. So
one table of that length serves every date before and after 1970, and the graph needs no arithmetic
on years:

    microseconds since 1970 = day * 86,400,000,000 + time of day

    day mod 146,097        ->  row of the day table:     month, day, weekday, day of the year
    time of day in minutes ->  row of the minute table:  hour, minute of the day
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
_MINUTE_US = 60 * 10**6
_CYCLE_LENGTHS = {"day": 1, "week": 7, "month": 31, "year": 366}
"""The length of each cycle in days."""
Floats = npt.NDArray[np.float32]


class Span(Struct, frozen=True):
    """The range of a column of times in microseconds since 1970.

    `missing` counts rows without a time; `timed` says whether any row has a time of day.
    """

    low: int | None
    high: int | None
    missing: int
    timed: bool

    def cycles(self) -> list[str]:
        """List the cycles (day, week, month, year) that the rows went through at least twice.

        A cycle that occurred once is absolute time in disguise: a model would learn the past by
        heart, and would then get values in service that are new to it.

        >>> Span(low=0, high=100 * DAY_US, missing=0, timed=False).cycles()
        ['week', 'month']
        """
        if self.low is None or self.high is None:
            return []
        days = (self.high - self.low) / DAY_US
        names = [name for name, length in _CYCLE_LENGTHS.items() if days >= 2 * length]
        if not self.timed:
            names = [name for name in names if name != "day"]
        return names


def fit(column: pl.Series) -> Span:
    """Find the span of a column of `Datetime("us")`."""
    times = column.drop_nulls().to_physical()
    if not len(times):
        return Span(None, None, len(column), False)
    low = times.min()
    high = times.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return Span(low, high, column.null_count(), bool((times % DAY_US != 0).any()))


def merge(a: Span, b: Span) -> Span:
    """Merge the states of two partitions."""
    lows = [span.low for span in (a, b) if span.low is not None]
    highs = [span.high for span in (a, b) if span.high is not None]
    return Span(
        min(lows, default=None), max(highs, default=None), a.missing + b.missing, a.timed or b.timed
    )


def day_numbers() -> dict[str, Integers]:
    """Compute the calendar of each day of 400 years from 1970 on, as arrays `(146097,)`.

    Months and days count from 1, weekdays from Monday, which is 0.

    >>> {name: int(numbers[31 + 28]) for name, numbers in day_numbers().items()}
    {'month': 3, 'day': 1, 'weekday': 6, 'day_of_year': 60}
    """
    dates = np.arange(CYCLE_DAYS).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    years = dates.astype("datetime64[Y]")
    return {
        "month": months.astype(np.int64) % 12 + 1,
        "day": (dates - months).astype(np.int64) + 1,
        "weekday": (np.arange(CYCLE_DAYS) + 3) % 7,  # 1970-01-01 was a Thursday
        "day_of_year": (dates - years).astype(np.int64) + 1,
    }


def table(columns: list[npt.NDArray[Any]], length: int) -> Floats:
    """Join columns `(length,)`, or none, into a look-up table `(length, len(columns))`."""
    return np.ascontiguousarray(np.array(columns, np.float32).reshape(len(columns), length).T)


def lookup(
    graph: Graph, times: str, width: int, day_table: Floats, minute_table: Floats
) -> tuple[str, str]:
    """Look up each time in both tables.

    Parameters: `times`, int64 `[N, width]`; `day_table` `(146097, d)`; `minute_table` `(1440, m)`.
    Returns the float32 tensor `[N, width * (d + m)]` (for each column its day entries, then its
    minute entries) and the booleans `[N, width]` that say which times are missing. A missing time
    has the entries of 1970-01-01.
    """
    absent = graph.node("Equal", times, graph.constant(MISSING_TIME, np.int64))
    present = graph.node("Where", absent, graph.constant(0, np.int64), times)

    # Mod has the sign of its divisor, so this rounds down before 1970 too.
    day_length = graph.constant(DAY_US, np.int64)
    time_of_day = graph.node("Mod", present, day_length)
    day = graph.node("Div", graph.node("Sub", present, time_of_day), day_length)

    blocks = []
    if day_table.shape[1]:
        index = graph.node("Mod", day, graph.constant(CYCLE_DAYS, np.int64))
        blocks.append(graph.node("Gather", graph.constant(day_table), index))
    if minute_table.shape[1]:
        minute = graph.node("Div", time_of_day, graph.constant(_MINUTE_US, np.int64))
        blocks.append(graph.node("Gather", graph.constant(minute_table), minute))
    joined = blocks[0] if len(blocks) == 1 else graph.node("Concat", *blocks, axis=2)

    entries = width * (day_table.shape[1] + minute_table.shape[1])
    return graph.node("Reshape", joined, graph.constant([0, entries], np.int64)), absent
