"""The aggregates of windows: a row each. `windows/aggregates/NAME.py` says how each is computed.

A new aggregate is a row here and a file there.
"""

from typing import TYPE_CHECKING, Literal

from msgspec import Struct


class AggregateRow(Struct, frozen=True):
    """What an aggregate is of, and how the catalogue describes it.

    `of`: `events` themselves, or the `numbers` or `values` of a column; events that miss the value
    do not count.
    """

    of: Literal["events", "numbers", "values"]
    words: str
    needs_where: bool = False


AGGREGATES: dict[str, AggregateRow] = {
    "count": AggregateRow("events", "how many {events}"),
    "sum": AggregateRow("numbers", "sum of {of} of {events}"),
    "mean": AggregateRow("numbers", "mean of {of} of {events}"),
    "min": AggregateRow("numbers", "min of {of} of {events}"),
    "max": AggregateRow("numbers", "max of {of} of {events}"),
    "std": AggregateRow("numbers", "standard deviation of {of} of {events}"),
    "last": AggregateRow("values", "last of {of} of {events}"),
    "distinct": AggregateRow("values", "distinct of {of} of {events}"),
    "rate": AggregateRow("events", "share of {events} for which {where}", needs_where=True),
    "since": AggregateRow("events", "seconds since the latest of {events}"),
}
if TYPE_CHECKING:
    Aggregate = str
else:
    Aggregate = Literal[tuple(AGGREGATES)]
