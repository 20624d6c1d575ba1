"""The branch `features`: which columns the model sees, and how."""

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
    """An override for one column; what is left out is inferred from the training rows.

    `encode` names one encoder or several, whose columns stand side by side. `owner` and
    `description` stand in the catalogue of features.
    """

    kind: Kind | None = None
    encode: Encode | list[Encode] | None = None
    owner: str | None = None
    description: str | None = None

    @property
    def encodes(self) -> list[Encode]:
        """The stated encoders as a list; none where they are left to the family of models."""
        return (
            self.encode if isinstance(self.encode, list) else [self.encode] if self.encode else []
        )


class Window(Node, frozen=True):
    """What the events of a key in the time before a row amount to: a column `NAME_OVER` for each
    span in `over`.

    `key` is a column, or several, of rows and events. The `aggregate` is `of` a column (sum, mean,
    min, max, last, distinct) or of the events themselves (count, since: seconds since the latest,
    rate: the share for which `where` holds); `where` picks events, such as `kind == 'buy' and price
    > 10`. See `windows/README.md` for the exact meaning. `owner` and `description` stand in the
    catalogue of features.
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
    """A file of features that several systems use: tables of events and windows over them, and who owns them."""

    owner: str | None = None
    events: dict[Identifier, EventTable] = {}
    windows: list[Window] = []


class FeaturesSpec(Node, frozen=True):
    """Which columns the model sees, and how. Each list of `crosses` makes one category of several
    columns'.

    The events and the windows of the files that `use` names join those that stand here.
    """

    use: list[str] = []
    exclude: list[str] = []
    columns: dict[str, ColumnSpec] = {}
    crosses: list[Annotated[list[str], Meta(min_length=2, max_length=4)]] = []
    windows: list[Window] = []
