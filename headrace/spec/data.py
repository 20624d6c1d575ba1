"""The branch `data`: where rows and events come from."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headrace.spec.node import Duration, Identifier, Node


class ReadSpec(Node, frozen=True):
    r"""How a text table is written, where that cannot be told from the file.

    `quote` is a sign, or `none` where nothing is quoted; `escape`, such as `\`, stands before a
    quote within; `skip` lines stand above the header; lines that begin with `comment` are no rows.
    `header` holds the names of the columns where no line does, or is false (`column_1`, …); true
    says that the first line is one. `thousands` is the sign between groups of digits, `dates` the
    order of day and month in `01/02/2024`, or the year first in `24-01-02`.
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
    """A table of things that happened; each row has a time. `query` beside a database.

    An event counts from when it was known: by the column `available`, or a `delay` after its time.
    Rows of one `id` are versions of one event, of which the latest that was known counts; a version
    that is true in `deleted` ends it.
    """

    source: str
    time: str
    query: str | None = None
    id: str | None = None
    available: str | None = None
    delay: Duration | None = None
    deleted: str | None = None


class Data(Node, frozen=True):
    """Where rows come from and what their special columns are.

    `source` is a file, a folder, a pattern such as `parts/*.parquet`, or a database
    (`sqlite:///FILE`, `duckdb:///FILE`, `postgresql://USER@HOST/NAME`) with a `query`. `time` is a
    column, or the columns of its parts from the year on.
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
        """The columns of the table that say when a row was."""
        return (
            self.time
            if isinstance(self.time, list)
            else [self.time]
            if self.time is not None
            else []
        )

    @property
    def time_column(self) -> str | None:
        """The column of times; that of several parts is named after them."""
        return "-".join(self.time) if isinstance(self.time, list) else self.time
