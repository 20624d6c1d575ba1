"""The branch `features`: the columns that the model sees, and their form."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headrace.spec.aggregates import Aggregate
from headrace.spec.data import EventTable
from headrace.spec.node import Duration, Identifier, Node, Span, about

Kind = Literal["numeric", "boolean", "categorical", "datetime", "text", "vector", "ignored"]
Encode = Literal[
    "raw", "standardize", "quantile", "log",
    "ordinal", "onehot", "frequency", "target", "hash", "number",
    "parts", "cyclic",
    "tfidf", "topics",
    "pass", "normalize", "pca",
]  # fmt: skip


Bits = Annotated[int, Meta(ge=10, le=22)]


class ColumnSpec(Node, frozen=True):
    """An override for one column; the training rows decide about each field that is left out."""

    kind: Annotated[Kind | None, about("How the column enters the model.", "categorical")] = None
    encode: Annotated[
        Encode | list[Encode] | None,
        about(
            "One encoder, or several whose columns the model gets side by side.",
            "tfidf",
            ["ordinal", "target"],
        ),
    ] = None
    bits: Annotated[
        Bits | None,
        about(
            "With `encode: hash`: values share 2^bits buckets. If left out, 16 for linear models "
            "and 10 for trees.",
            18,
        ),
    ] = None
    owner: Annotated[str | None, about("Who is responsible for it.", "growth")] = None
    description: Annotated[str | None, about("What it means; the catalogue shows it.")] = None

    @property
    def encodes(self) -> list[Encode]:
        """The stated encoders as a list; empty where the family of models chooses."""
        if not self.encode:
            return []
        return self.encode if isinstance(self.encode, list) else [self.encode]


CrossColumns = Annotated[list[str], Meta(min_length=2, max_length=4)]


class CrossSpec(Node, frozen=True):
    """A cross without a dictionary: for combinations without end."""

    of: Annotated[CrossColumns, about("The columns.", ["advertiser", "publisher"])]
    encode: Annotated[Literal["hash"], about("Its values share buckets.")] = "hash"
    bits: Annotated[
        Bits | None,
        about(
            "There are 2^bits buckets; if left out, 16 bits for linear models, 10 for trees.", 20
        ),
    ] = None


class Window(Node, frozen=True):
    """A feature over the events of a key in the time before a row.

    `windows/README.md` has the exact meaning.
    """

    name: Annotated[
        Identifier,
        about("The feature; a span of `over` makes its column, such as `spend_7d`.", "spend"),
    ]
    events: Annotated[str, about("The table of events, a name in `data.events`.", "buys")]
    key: Annotated[
        str | Annotated[list[str], Meta(min_length=1)],
        about("The column, or columns, that rows and events share.", "user_id"),
    ]
    aggregate: Annotated[
        Aggregate,
        about(
            "What is computed: of a column, or of the events themselves (`count`; `since`, the "
            "seconds since the latest; `rate`, the share for which `where` holds).",
            "sum",
        ),
    ] = "count"
    of: Annotated[str | None, about("The column of the events that is aggregated.", "price")] = None
    where: Annotated[
        str | None,
        about("The condition on events that count.", "kind == 'buy' and price > 10"),
    ] = None
    over: Annotated[list[Span], about("The spans of time before a row.", ["1h", "7d", "all"])] = (
        field(default_factory=lambda: ["7d"])
    )
    hop: Annotated[
        Duration | None,
        about(
            "The step by which a window's start moves; `0s` is the exact window. If left out: "
            "5min up to 12h, 1h up to 12d, else 1d.",
            "1h",
        ),
    ] = None
    owner: Annotated[str | None, about("Who is responsible for it.", "growth")] = None
    description: Annotated[str | None, about("What it means; the catalogue shows it.")] = None


class Shared(Node, frozen=True):
    """A file of features that several systems use: their owner, tables of events, and windows."""

    owner: Annotated[str | None, about("Who is responsible for these features.", "growth")] = None
    events: Annotated[dict[Identifier, EventTable], about("Tables of events, by name.")] = {}
    windows: Annotated[list[Window], about("Features over the events.")] = []


class FeaturesSpec(Node, frozen=True):
    """The columns that the model sees, and their form."""

    use: Annotated[
        list[str],
        about(
            "Files of shared features, whose events and windows are added to those of this spec.",
            ["../shared/weather.yaml"],
        ),
    ] = []
    exclude: Annotated[
        list[str], about("Columns that the model must not see.", ["internal_note"])
    ] = []
    columns: Annotated[
        dict[str, ColumnSpec],
        about("Overrides by column; the others are inferred.", {"title": {"kind": "text"}}),
    ] = {}
    crosses: Annotated[
        list[CrossColumns | CrossSpec],
        about(
            "Columns whose values together make one category; `of` and `encode: hash` do without "
            "a dictionary of them.",
            [["country", "device"]],
            [{"of": ["advertiser", "publisher"], "encode": "hash", "bits": 20}],
        ),
    ] = []
    windows: Annotated[list[Window], about("Features over events in time.")] = []
