"""The `System` tree: every decision about a system is one of these fields.

Only fields that work are here; a field enters the tree with the feature that makes it work.
A value of `None` means "inferred", and the resolved spec in each bundle holds what was inferred.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Task = Literal["binary", "multiclass", "regression"]
Kind = Literal["numeric", "boolean", "categorical", "datetime", "ignored"]
Encode = Literal["raw", "standardize", "ordinal", "onehot", "frequency", "parts", "cyclic"]
Family = Literal["baseline", "linear", "gbdt"]
Metric = Literal["roc_auc", "average_precision", "log_loss", "brier", "accuracy", "f1", "macro_f1", "rmse", "mae", "r2"]

Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)]
Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]
Duration = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?(us|ms|s|min|h|d|w)$")]
Span = Annotated[str, Meta(pattern=r"^(all|\d+(\.\d+)?(us|ms|s|min|h|d|w))$")]
Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]


class _Node(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A branch of the tree: immutable, and strict about names."""


class Goal(_Node, frozen=True):
    """What is predicted, and the one number that decides between candidates."""

    target: str
    task: Task | None = None
    positive: str | int | float | bool | None = None
    metric: Metric | None = None


class Requirements(_Node, frozen=True):
    """What the system must hold beside its quality; `verify` measures it."""

    latency_p99_ms: Positive | None = None


class Read(_Node, frozen=True):
    """How a text table is written, where that cannot be told from the file."""

    separator: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    encoding: str | None = None
    quote: Annotated[str, Meta(min_length=1, max_length=1)] | None = None


class EventTable(_Node, frozen=True):
    """A table of things that happened; each row has a time."""

    source: str
    time: str


class Data(_Node, frozen=True):
    """Where rows come from and what their special columns are."""

    source: str
    id: str | None = None
    time: str | None = None
    group: str | None = None
    missing: list[str] = field(default_factory=lambda: ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"])
    read: Read = Read()
    holdout: str | None = None
    events: dict[Identifier, EventTable] = {}


class ColumnSpec(_Node, frozen=True):
    """An override for one column; what is left out is inferred from the training rows."""

    kind: Kind | None = None
    encode: Encode | None = None


class Window(_Node, frozen=True):
    """Counts the events of one key in the time before a row: a column `NAME_OVER` for each span in `over`."""

    name: Identifier
    events: str
    key: str
    aggregate: Literal["count"] = "count"
    over: list[Span] = field(default_factory=lambda: ["7d"])
    hop: Duration | None = None


class Features(_Node, frozen=True):
    """Which columns the model sees, and how."""

    exclude: list[str] = []
    columns: dict[str, ColumnSpec] = {}
    windows: list[Window] = []


class Split(_Node, frozen=True):
    """How rows are kept apart: fractions of all rows; `gap` is left out before each border of a time split."""

    by: Literal["time", "group", "stratified", "random"] | None = None
    validation: Fraction = 0.15
    test: Fraction = 0.15
    gap: Duration = "0s"


class LinearParams(_Node, frozen=True):
    """Logistic, multinomial or ridge regression. `l2` is the penalty per row on standardized columns."""

    l2: Positive = 1e-4


class GbdtParams(_Node, frozen=True):
    """LightGBM trees. With `rounds` left out, early stopping chooses it; `early_stopping` is in rounds."""

    learning_rate: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.05
    leaves: Annotated[int, Meta(ge=2, le=4096)] = 31
    min_rows_per_leaf: Count = 20
    l2: Annotated[float, Meta(ge=0.0)] = 1.0
    column_fraction: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.8
    max_rounds: Count = 2000
    early_stopping: Count = 50
    rounds: Count | None = None


class Models(_Node, frozen=True):
    """Which families compete, and their settings. The baseline always runs beside them."""

    candidates: Annotated[list[Family], Meta(min_length=1)] = field(default_factory=lambda: ["linear", "gbdt"])
    linear: LinearParams = LinearParams()
    gbdt: GbdtParams = GbdtParams()


class System(_Node, frozen=True, dict=True):
    """The whole spec of a system.

    >>> System(name="ads", goal=Goal(target="clicked"), data=Data(source="ads.parquet")).split.test
    0.15
    """

    name: Name
    goal: Goal
    data: Data
    requirements: Requirements = Requirements()
    features: Features = Features()
    split: Split = Split()
    models: Models = Models()
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 7

    @cached_property
    def root(self) -> Path:
        """The folder that relative paths start from: the spec file's own. Not a field: never saved or hashed."""
        return Path.cwd()

    @property
    def workspace(self) -> Path:
        """Where state lives: bundles and runs."""
        return self.root / ".millrace"
