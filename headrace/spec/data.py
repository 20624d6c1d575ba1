"""The branch `data`: the sources of rows and events."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headrace.spec.node import Duration, Identifier, Node, about

Sign = Annotated[str, Meta(min_length=1, max_length=1)]


class ReadSpec(Node, frozen=True):
    """The form of a text table, as far as the file itself does not show it."""

    separator: Annotated[Sign | None, about("The character between columns.", ";")] = None
    encoding: Annotated[str | None, about("The encoding of the text.", "latin-1")] = None
    quote: Annotated[
        Annotated[str, Meta(pattern=r"^(.|none)$")] | None,
        about("The quotation mark, or `none` for a file without quotes.", "'"),
    ] = None
    escape: Annotated[
        Sign | None, about("The character before a quotation mark inside a value.", "\\")
    ] = None
    skip: Annotated[
        Annotated[int, Meta(ge=0)] | None, about("The number of lines above the header.", 2)
    ] = None
    comment: Annotated[Sign | None, about("Lines that begin with this are not rows.", "#")] = None
    header: Annotated[
        bool | list[str] | None,
        about(
            "Column names for a file without a header line; false names them `column_1`, "
            "`column_2`, …; true says that the first line is the header.",
            ["day", "price"],
        ),
    ] = None
    thousands: Annotated[
        Literal[",", ".", " ", "'"] | None, about("The character between groups of digits.", ".")
    ] = None
    dates: Annotated[
        Literal["day_first", "month_first", "year_first"] | None,
        about("The order of day, month and year in dates such as 01/02/24.", "day_first"),
    ] = None


class EventTable(Node, frozen=True):
    """A table of events; each row has a time.

    Features see an event from the moment when it was known: the time in the column `available`, or
    a `delay` after the event's own time.
    """

    source: Annotated[
        str, about("The table: a file, a folder, a pattern, a URL or a database.", "clicks.parquet")
    ]
    time: Annotated[str, about("The column of the time at which an event happened.", "at")]
    query: Annotated[
        str | None, about("The rows to read, if the source is a database.", "select * from clicks")
    ] = None
    id: Annotated[
        str | None,
        about(
            "The column that identifies an event. Rows with the same id are versions of one event; "
            "the latest version that is known counts.",
            "click_id",
        ),
    ] = None
    available: Annotated[
        str | None, about("The column of the time from which an event was known.", "loaded_at")
    ] = None
    delay: Annotated[
        Duration | None, about("How long after its time an event was known.", "10min")
    ] = None
    deleted: Annotated[
        str | None, about("The column that is true in a version that removes the event.", "deleted")
    ] = None


class Data(Node, frozen=True):
    """The table of rows and its special columns."""

    source: Annotated[
        str,
        about(
            "The table: a CSV, TSV, Parquet, NDJSON or Arrow file; a folder of them; a pattern; "
            "any of these at `s3://`, `gs://`, `az://` or `https://`; or a database "
            "(`sqlite:///FILE`, `duckdb:///FILE`, `postgresql://USER@HOST/NAME`) with a `query`.",
            "impressions.parquet",
            "parts/*.parquet",
        ),
    ]
    query: Annotated[
        str | None, about("The rows to read, if the source is a database.", "select * from shown")
    ] = None
    id: Annotated[
        str | None,
        about("The column that identifies each row; predictions repeat it.", "impression_id"),
    ] = None
    time: Annotated[
        str | list[str] | None,
        about(
            "The column that holds the time of each row, or the columns that hold its parts, "
            "starting with the year.",
            "shown_at",
            ["year", "month", "day", "hour"],
        ),
    ] = None
    group: Annotated[
        str | None,
        about(
            "Rows with the same value of this column stay on one side of a split; in a ranking it "
            "is the query, whose rows are put in order.",
            "user_id",
        ),
    ] = None
    weight: Annotated[
        str | None, about("The column of row weights, for training and metrics.", "weight")
    ] = None
    missing: Annotated[
        list[str], about("The words that mean a missing value.", ["", "NA", "unknown"])
    ] = field(default_factory=lambda: ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"])
    read: Annotated[ReadSpec, about("The format of a text table, where it cannot be inferred.")] = (
        ReadSpec()
    )
    holdout: Annotated[
        str | None, about("A separate table that serves as the test split.", "test.csv")
    ] = None
    events: Annotated[
        dict[Identifier, EventTable], about("Tables of events, by name, for windows over them.")
    ] = {}

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
