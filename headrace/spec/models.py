"""The branch `models`: which families compete, and their settings."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headrace.spec.features import Encode, Kind
from headrace.spec.node import Count, Node, Positive

Family = Literal["baseline", "linear", "gbdt"]


class LinearParams(Node, frozen=True):
    """Logistic, multinomial or ridge regression.

    `l2` is the penalty per row on standardized columns.
    """

    l2: Positive = 1e-4


class GbdtParams(Node, frozen=True):
    """LightGBM trees. With `rounds` left out, early stopping chooses it; `early_stopping` is in
    rounds.

    Each tree sees a `column_fraction` of the columns: 0.8, or about 80 of more than a hundred,
    where it is left out. A number's values are told apart in `bins`. The codes of categories are
    split by a threshold (`ordered`: by how frequent they are) or into any two `sets`, with
    LightGBM's `cat_smooth` and `cat_l2`. `row_fraction` of the rows are drawn anew for each tree;
    `extra_random` draws thresholds at random. The `objective` follows from the goal's metric where
    it is left out; `quantile` is that of the objective of this name.
    """

    objective: (
        Literal["binary", "multiclass", "regression", "regression_l1", "mape", "quantile"] | None
    ) = None
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


class Search(Node, frozen=True):
    """The budget for finding models: it ends with the first of the two.

    `trials: 0` tries what is stated alone.
    """

    trials: Annotated[int, Meta(ge=0)] = 20
    seconds: Positive = 60.0


class Member(Node, frozen=True):
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


class Calibration(Node, frozen=True):
    """How scores become probabilities that come true.

    `sigmoid`: the log odds (multiclass: the log probabilities) times `slope` plus `intercept`
    (multiclass: 0); `isotonic`: straight lines through the points `x`, `y`.
    """

    method: Literal["sigmoid", "isotonic"]
    slope: float = 1.0
    intercept: float = 0.0
    x: list[float] = []
    y: list[float] = []


class Models(Node, frozen=True):
    """Which families compete within which budget, and their settings. The baseline always runs
    beside them.

    `negatives` is the share of negative rows to train on; `class_weight: balanced` gives every
    class the same total weight. Both shift probabilities, and the shipped graph shifts them back.
    The resolved spec holds the chosen `members` and `calibration`; where `members` are stated,
    nothing is searched.
    """

    candidates: Annotated[list[Family], Meta(min_length=1)] = field(
        default_factory=lambda: ["linear", "gbdt"]
    )
    search: Search = Search()
    calibrate: bool = True
    negatives: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    class_weight: Literal["balanced"] | dict[str, Positive] | None = None
    linear: LinearParams = LinearParams()
    gbdt: GbdtParams = GbdtParams()
    members: list[Member] = []
    calibration: Calibration | None = None
