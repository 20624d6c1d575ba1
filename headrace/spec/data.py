"""The branch `data`: the sources of rows and events."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headrace.spec.node import Duration, Identifier, Node


class ReadSpec(Node, frozen=True):
    r"""The form of a text table, as far as the file itself does not show it.

    `quote` is the quotation mark, or `none` for a file without quotes. `escape`, such as `\`, is
    the sign before a quotation mark inside of a value. `skip` is the number of lines above the
    header. Lines that begin with `comment` are not rows.

    `header` is a list of column names for a file without a header line; false names the columns
    `column_1`, `column_2`, …; true says that the first line is the header.

    `thousands` is the sign between groups of digits. `dates` is the order of day and month in
    `01/02/2024`, or `year_first` for dates such as `24-01-02`.
    """

    separator: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    encoding: str | None = None
    quote: Annotated[str, Meta(pattern=r"^(.|none)$")] | None = None
    escape: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    skip: Annotated[int, Meta(ge=0)] | None = None
    comment: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    header: bool | list[str] | None = None
    thousands: Literal[",", ".", " ", "'"] | None = None
    dates: Literal["day_first", "month_first", "year_first"] | None = None


class EventTable(Node, frozen=True):
    """A table of events; each row has a time. With a database as `source`, `query` selects rows.

    Features see an event from the moment when it was known: the time in the column `available`, or
    a `delay` after the event's own time.

    Rows with the same `id` are versions of one event; the latest version that is known counts. A
    version that is true in the column `deleted` removes the event.
    """

    source: str
    time: str
    query: str | None = None
    id: str | None = None
    available: str | None = None
    delay: Duration | None = None
    deleted: str | None = None


class Data(Node, frozen=True):
    """The table of rows and its special columns.

    `source` is a file, a folder, a pattern such as `parts/*.parquet`, or a database
    (`sqlite:///FILE`, `duckdb:///FILE`, `postgresql://USER@HOST/NAME`) with a `query`. `time` is a
    column, or a list of columns that hold its parts, from the year on.
    """

    source: str
    query: str | None = None
    id: str | None = None
    time: str | list[str] | None = None
    group: str | None = None
    weight: str | None = None
    missing: list[str] = field(
        default_factory=lambda: ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"]
    )
    read: ReadSpec = ReadSpec()
    holdout: str | None = None
    events: dict[Identifier, EventTable] = {}

    @property
    def times(self) -> list[str]:
        """The columns of the table that hold the time of a row: none, one, or one for each part."""
        if self.time is None:
            return []
        return self.time if isinstance(self.time, list) else [self.time]

    @property
    def time_column(self) -> str | None:
        """The name of the column of times; a time in parts is joined, such as `year-month`."""
        return "-".join(self.time) if isinstance(self.time, list) else self.time
