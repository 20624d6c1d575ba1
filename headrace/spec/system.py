"""The `System` tree: every decision about a system is one of these fields.

Only fields that work are here; a field enters the tree with the feature that makes it work.
A value of `None` means "inferred", and the resolved spec in each bundle holds what was inferred.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from headrace.spec.addresses import check_address as check_address
from headrace.workspace import Workspace

Task = Literal["binary", "multiclass", "regression"]
Kind = Literal["numeric", "boolean", "categorical", "datetime", "text", "vector", "ignored"]
Encode = Literal[
    "raw", "standardize", "quantile", "log",
    "ordinal", "onehot", "frequency", "target", "hash", "number",
    "parts", "cyclic",
    "tfidf", "topics",
    "pass", "normalize", "pca",
]  # fmt: skip
Family = Literal["baseline", "linear", "gbdt"]
Metric = Literal[
    "roc_auc", "average_precision", "log_loss", "normalized_entropy", "brier",
    "calibration_error", "calibration_ratio", "precision", "recall", "f1", "accuracy",
    "macro_f1", "weighted_f1", "top_3_accuracy",
    "rmse", "mae", "mape", "r2", "pinball_10", "pinball_90",
]  # fmt: skip

Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)]
Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]
Duration = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?(us|ms|s|min|h|d|w)$")]
Span = Annotated[str, Meta(pattern=r"^(all|\d+(\.\d+)?(us|ms|s|min|h|d|w))$")]
Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]


class _Node(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A branch of the tree: immutable, and strict about names."""


class DecisionSpec(_Node, frozen=True):
    """When a binary prediction becomes a yes: above the threshold that is best by a stated objective.

    `by`: `f1`, its maximum; `cost`, the least total cost (`false_positive` and `false_negative` for each mistake);
    `recall`, the best precision among thresholds with at least this recall; `rate`, this share of the rows.
    The resolved spec holds the `threshold`; one that is stated is kept.
    """

    by: Literal["f1", "cost", "recall", "rate"] | None = None
    false_positive: Annotated[float, Meta(ge=0.0)] = 1.0
    false_negative: Annotated[float, Meta(ge=0.0)] = 1.0
    recall: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.8
    rate: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.1
    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None


class Goal(_Node, frozen=True):
    """What is predicted, and the one number that decides between candidates; `secondary` ones are reported first.

    An outcome is known `label_delay` after its row: under a time split no model is fitted on one that was not known yet
    when the rows that it is judged on began.
    """

    target: str
    task: Task | None = None
    positive: str | int | float | bool | None = None
    label_delay: Duration | None = None
    metric: Metric | None = None
    secondary: list[Metric] = []
    decision: DecisionSpec | None = None


class Requirements(_Node, frozen=True):
    """What the system must hold beside its quality: each that is stated is a gate.

    Single rows in `latency_p99_ms`: no slower candidate is chosen, and `verify` measures it. `throughput_rps`
    predictions a second on this machine's cores: row by row where the prediction is `online`, as tables in `batch`.
    """

    prediction: Literal["online", "batch"] = "online"
    latency_p99_ms: Positive | None = None
    throughput_rps: Positive | None = None


class ReadSpec(_Node, frozen=True):
    r"""How a text table is written, where that cannot be told from the file.

    `quote` is a sign, or `none` where nothing is quoted; `escape`, such as `\`, stands before a quote within; `skip`
    lines stand above the header; lines that begin with `comment` are no rows. `header` holds the names of the columns
    where no line does, or is false (`column_1`, …); true says that the first line is one. `thousands` is the sign
    between groups of digits, `dates` the order of day and month in `01/02/2024`, or the year first in `24-01-02`.
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


class EventTable(_Node, frozen=True):
    """A table of things that happened; each row has a time. `query` beside a database.

    An event counts from when it was known: by the column `available`, or a `delay` after its time. Rows of one `id` are
    versions of one event, of which the latest that was known counts; a version that is true in `deleted` ends it.
    """

    source: str
    time: str
    query: str | None = None
    id: str | None = None
    available: str | None = None
    delay: Duration | None = None
    deleted: str | None = None


class Data(_Node, frozen=True):
    """Where rows come from and what their special columns are.

    `source` is a file, a folder, a pattern such as `parts/*.parquet`, or a database (`sqlite:///FILE`, `duckdb:///FILE`,
    `postgresql://USER@HOST/NAME`) with a `query`. `time` is a column, or the columns of its parts from the year on.
    """

    source: str
    query: str | None = None
    id: str | None = None
    time: str | list[str] | None = None
    group: str | None = None
    weight: str | None = None
    missing: list[str] = field(default_factory=lambda: ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"])
    read: ReadSpec = ReadSpec()
    holdout: str | None = None
    events: dict[Identifier, EventTable] = {}

    @property
    def times(self) -> list[str]:
        """The columns of the table that say when a row was."""
        return self.time if isinstance(self.time, list) else [self.time] if self.time is not None else []

    @property
    def time_column(self) -> str | None:
        """The column of times; that of several parts is named after them."""
        return "-".join(self.time) if isinstance(self.time, list) else self.time


class ColumnSpec(_Node, frozen=True):
    """An override for one column; what is left out is inferred from the training rows.

    `encode` names one encoder or several, whose columns stand side by side. `owner` and `description` stand in the
    catalogue of features.
    """

    kind: Kind | None = None
    encode: Encode | list[Encode] | None = None
    owner: str | None = None
    description: str | None = None

    @property
    def encodes(self) -> list[Encode]:
        """The stated encoders as a list; none where they are left to the family of models."""
        return self.encode if isinstance(self.encode, list) else [self.encode] if self.encode else []


class Window(_Node, frozen=True):
    """What the events of a key in the time before a row amount to: a column `NAME_OVER` for each span in `over`.

    `key` is a column, or several, of rows and events. The `aggregate` is `of` a column (sum, mean, min, max, last,
    distinct) or of the events themselves (count, since: seconds since the latest, rate: the share for which `where`
    holds); `where` picks events, such as `kind == 'buy' and price > 10`. See `windows/README.md` for the exact meaning.
    `owner` and `description` stand in the catalogue of features.
    """

    name: Identifier
    events: str
    key: str | Annotated[list[str], Meta(min_length=1)]
    aggregate: Literal["count", "sum", "mean", "min", "max", "last", "distinct", "rate", "since"] = "count"
    of: str | None = None
    where: str | None = None
    over: list[Span] = field(default_factory=lambda: ["7d"])
    hop: Duration | None = None
    owner: str | None = None
    description: str | None = None


class Shared(_Node, frozen=True):
    """A file of features that several systems use: tables of events and windows over them, and who owns them."""

    owner: str | None = None
    events: dict[Identifier, EventTable] = {}
    windows: list[Window] = []


class FeaturesSpec(_Node, frozen=True):
    """Which columns the model sees, and how. Each list of `crosses` makes one category of several columns'.

    The events and the windows of the files that `use` names join those that stand here.
    """

    use: list[str] = []
    exclude: list[str] = []
    columns: dict[str, ColumnSpec] = {}
    crosses: list[Annotated[list[str], Meta(min_length=2, max_length=4)]] = []
    windows: list[Window] = []


class SplitSpec(_Node, frozen=True):
    """How rows are kept apart: fractions of all rows; `gap` is left out before each border of a time split (the goal's
    `label_delay` where it is left out)."""

    by: Literal["time", "group", "stratified", "random"] | None = None
    validation: Fraction = 0.15
    test: Fraction = 0.15
    gap: Duration | None = None


class LinearParams(_Node, frozen=True):
    """Logistic, multinomial or ridge regression. `l2` is the penalty per row on standardized columns."""

    l2: Positive = 1e-4


class GbdtParams(_Node, frozen=True):
    """LightGBM trees. With `rounds` left out, early stopping chooses it; `early_stopping` is in rounds.

    Each tree sees a `column_fraction` of the columns: 0.8, or about 80 of more than a hundred, where it is left out. A
    number's values are told apart in `bins`. The codes of categories are split by a threshold (`ordered`: by how
    frequent they are) or into any two `sets`, with LightGBM's `cat_smooth` and `cat_l2`. `row_fraction` of the rows are
    drawn anew for each tree; `extra_random` draws thresholds at random. The `objective` follows from the goal's metric
    where it is left out; `quantile` is that of the objective of this name.
    """

    objective: Literal["binary", "multiclass", "regression", "regression_l1", "mape", "quantile"] | None = None
    quantile: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.5

    learning_rate: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.05
    leaves: Annotated[int, Meta(ge=2, le=4096)] = 31
    min_rows_per_leaf: Count = 20
    l2: Annotated[float, Meta(ge=0.0)] = 1.0
    column_fraction: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    row_fraction: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    extra_random: bool = False
    bins: Annotated[int, Meta(ge=2, le=65535)] = 255
    categories: Literal["ordered", "sets"] = "ordered"
    category_smoothing: Annotated[float, Meta(ge=0.0)] = 10.0
    category_l2: Annotated[float, Meta(ge=0.0)] = 10.0
    max_rounds: Count = 5000
    early_stopping: Count = 50
    rounds: Count | None = None


class Search(_Node, frozen=True):
    """The budget for finding models: it ends with the first of the two. `trials: 0` tries what is stated alone."""

    trials: Annotated[int, Meta(ge=0)] = 20
    seconds: Positive = 60.0


class Member(_Node, frozen=True):
    """One model of the shipped average: its family, its settings, and its encoders by kind of column."""

    family: Family
    weight: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    encode: dict[Kind, list[Encode]] = {}
    linear: LinearParams | None = None
    gbdt: GbdtParams | None = None

    @property
    def params(self) -> LinearParams | GbdtParams | None:
        """The settings of its family."""
        return {"linear": self.linear, "gbdt": self.gbdt}.get(self.family)


class Calibration(_Node, frozen=True):
    """How scores become probabilities that come true.

    `sigmoid`: the log odds (multiclass: the log probabilities) times `slope` plus `intercept` (multiclass: 0);
    `isotonic`: straight lines through the points `x`, `y`.
    """

    method: Literal["sigmoid", "isotonic"]
    slope: float = 1.0
    intercept: float = 0.0
    x: list[float] = []
    y: list[float] = []


class Models(_Node, frozen=True):
    """Which families compete within which budget, and their settings. The baseline always runs beside them.

    `negatives` is the share of negative rows to train on; `class_weight: balanced` gives every class the same total
    weight. Both shift probabilities, and the shipped graph shifts them back. The resolved spec holds the chosen
    `members` and `calibration`; where `members` are stated, nothing is searched.
    """

    candidates: Annotated[list[Family], Meta(min_length=1)] = field(default_factory=lambda: ["linear", "gbdt"])
    search: Search = Search()
    calibrate: bool = True
    negatives: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    class_weight: Literal["balanced"] | dict[str, Positive] | None = None
    linear: LinearParams = LinearParams()
    gbdt: GbdtParams = GbdtParams()
    members: list[Member] = []
    calibration: Calibration | None = None


Treatment = Literal[
    "selection_rate", "true_positive_rate", "false_positive_rate", "accuracy", "mean_error", "mean_absolute_error",
]  # fmt: skip
"""How a group of people fares: the share that gets a yes, of those who should and of those who should not; the share of
right answers; the mean of prediction minus truth, and of its size."""


class Fairness(_Node, frozen=True):
    """Columns that name groups of people, whether or not the model sees them.

    How it treats each group is reported; `max_gap` bounds the difference between the groups of a column, as a gate.
    """

    attributes: list[str] = []
    max_gap: dict[Treatment, Positive] = {}


class Evaluate(_Node, frozen=True):
    """What else is looked at on the test rows."""

    fairness: Fairness = Fairness()


class LogSpec(_Node, frozen=True):
    """How what is pushed is kept. It survives a killed process; with `fsync`, at the price of waiting for the disk, a
    loss of power too. Segments whose records were all known longer ago than `retention` are removed."""

    fsync: bool = False
    retention: Duration | None = None


class ServeSpec(_Node, frozen=True):
    """The service: where it listens, with how many processes, and what it takes.

    A request of more than `max_body_mb` or `max_rows` is refused, and so is one that finds `max_waiting` rows waiting
    in its process. Window features that the online store does not tell within `store_timeout_ms` count as missing. With
    `log` every prediction is kept, in the log. `hosts` are names by which the service may be asked, beside addresses
    and this machine's own. Told to end (SIGTERM), it says that it is not ready, and answers on for up to `grace_s`
    seconds, as long as connections are open: who sends requests to it notices meanwhile.
    """

    host: str = "127.0.0.1"
    hosts: list[str] = []
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    workers: Count = 1
    max_body_mb: Positive = 16.0
    max_rows: Count = 10_000
    max_waiting: Count = 2_000
    store_timeout_ms: Positive = 10.0
    grace_s: Annotated[float, Meta(ge=0.0)] = 5.0
    log: bool = True


class System(_Node, frozen=True, dict=True):
    """The whole spec of a system. `gates` say what a model must show before it goes live (see `spec.gates`).

    `store` is the online store of window features: LMDB in the workspace, or `redis://HOST:PORT/NUMBER`.

    >>> System(name="ads", goal=Goal(target="clicked"), data=Data(source="ads.parquet")).split.test
    0.15
    """

    name: Name
    goal: Goal
    data: Data
    requirements: Requirements = Requirements()
    features: FeaturesSpec = FeaturesSpec()
    split: SplitSpec = SplitSpec()
    models: Models = Models()
    evaluate: Evaluate = Evaluate()
    gates: list[str] = []
    serve: ServeSpec = ServeSpec()
    store: str | None = None
    log: LogSpec = LogSpec()
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 7

    def __post_init__(self) -> None:
        """Refuses addresses with secrets in them: the spec stands in every bundle."""
        for where, address in self.addresses().items():
            check_address(address, where)

    def addresses(self) -> dict[str, str]:
        """Where tables are and the online store is, by their fields."""
        named = {"data.source": self.data.source, "data.holdout": self.data.holdout, "store": self.store}
        named |= {f"data.events.{name}.source": table.source for name, table in self.data.events.items()}
        return {where: address for where, address in named.items() if address is not None}

    @cached_property
    def root(self) -> Path:
        """The folder that relative paths start from: the spec file's own. Not a field: never saved or hashed."""
        return Path.cwd()

    @cached_property
    def workspace(self) -> Workspace:
        """Where state lives: bundles, runs, logs."""
        return Workspace(self.root)
