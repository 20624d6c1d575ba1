"""The aggregates of windows, one row each. `windows/aggregates/NAME.py` holds the computation.

A new aggregate is a row here and a file there.
"""

from typing import TYPE_CHECKING, Literal

from msgspec import Struct


class AggregateRow(Struct, frozen=True):
    """The input of an aggregate and its description in the catalogue of features.

    `of`: the `events` themselves, or the `numbers` or `values` of a column; events without a value
    do not count. `words` is a template with `{events}`, `{of}` and `{where}`. With `needs_where`
    the window must state a condition.
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

# mypy cannot read a `Literal` that is built at run time
if TYPE_CHECKING:
    Aggregate = str
else:
    Aggregate = Literal[tuple(AGGREGATES)]
