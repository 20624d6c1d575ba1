"""The branch `features`: the columns that the model sees, and their form."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headrace.spec.aggregates import Aggregate
from headrace.spec.data import EventTable
from headrace.spec.node import Duration, Identifier, Node, Span

Kind = Literal["numeric", "boolean", "categorical", "datetime", "text", "vector", "ignored"]
Encode = Literal[
    "raw", "standardize", "quantile", "log",
    "ordinal", "onehot", "frequency", "target", "hash", "number",
    "parts", "cyclic",
    "tfidf", "topics",
    "pass", "normalize", "pca",
]  # fmt: skip


class ColumnSpec(Node, frozen=True):
    """An override for one column; the training rows decide about each field that is left out.

    `encode` names one encoder, or several whose columns the model gets side by side. `owner` and
    `description` are shown in the catalogue of features.
    """

    kind: Kind | None = None
    encode: Encode | list[Encode] | None = None
    owner: str | None = None
    description: str | None = None

    @property
    def encodes(self) -> list[Encode]:
        """The stated encoders as a list; empty where the family of models chooses."""
        if not self.encode:
            return []
        return self.encode if isinstance(self.encode, list) else [self.encode]


class Window(Node, frozen=True):
    """A feature over the events of a key in the time before a row.

    Each span in `over` makes a column `NAME_OVER`, such as `user_spend_1h`. `key` is a column, or
    several, that both rows and events have.

    `aggregate` is computed `of` a column (sum, mean, std, min, max, last, distinct) or of the
    events themselves (count; since: seconds since the latest; rate: the share for which `where`
    holds). `where` picks events, such as `kind == 'buy' and price > 10`. `windows/README.md` has
    the exact meaning. `owner` and `description` are shown in the catalogue of features.
    """

    name: Identifier
    events: str
    key: str | Annotated[list[str], Meta(min_length=1)]
    aggregate: Aggregate = "count"
    of: str | None = None
    where: str | None = None
    over: list[Span] = field(default_factory=lambda: ["7d"])
    hop: Duration | None = None
    owner: str | None = None
    description: str | None = None


class Shared(Node, frozen=True):
    """A file of features that several systems use: their owner, tables of events, and windows."""

    owner: str | None = None
    events: dict[Identifier, EventTable] = {}
    windows: list[Window] = []


class FeaturesSpec(Node, frozen=True):
    """The columns that the model sees, and their form.

    Each list in `crosses` names columns whose values together make one category. `use` names files
    of shared features; their events and windows are added to those of this spec.
    """

    use: list[str] = []
    exclude: list[str] = []
    columns: dict[str, ColumnSpec] = {}
    crosses: list[Annotated[list[str], Meta(min_length=2, max_length=4)]] = []
    windows: list[Window] = []
