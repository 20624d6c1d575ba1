"""The branch `models`: the families of models that compete, and their settings."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headrace.spec.features import Encode, Kind
from headrace.spec.node import Count, Node, Positive

Family = Literal["baseline", "linear", "gbdt"]


class LinearParams(Node, frozen=True):
    """Logistic, multinomial or ridge regression, by task.

    `l2` is the penalty per row on standardized columns.
    """

    l2: Positive = 1e-4


class GbdtParams(Node, frozen=True):
    """LightGBM trees.

    `objective` is LightGBM's; the goal's metric decides where it is left out. `quantile` is the
    level that the objective `quantile` predicts.

    Each tree is fitted on a `column_fraction` of the columns and on a `row_fraction` of the rows,
    both drawn anew. Without a `column_fraction` it is 0.8, or about 80 columns of more than a
    hundred. `extra_random` draws thresholds at random. Numbers are cut into `bins` before they are
    split.

    `categories` says how a split divides categories: `ordered` by a threshold on their codes, which
    are in the order of frequency; `sets` into any two sets, with `category_smoothing` and
    `category_l2` (LightGBM's `cat_smooth` and `cat_l2`).

    `rounds` is the number of trees. Left out, training stops once the metric has not improved for
    `early_stopping` rounds, at `max_rounds` at the latest.
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
    """The budget of the search: it ends after so many trials or seconds, whichever comes first.

    With `trials: 0` only the stated settings are tried.
    """

    trials: Annotated[int, Meta(ge=0)] = 20
    seconds: Positive = 60.0


class Member(Node, frozen=True):
    """A model of the shipped ensemble: its family, weight, settings, and encoders by kind."""

    family: Family
    weight: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    encode: dict[Kind, list[Encode]] = {}
    linear: LinearParams | None = None
    gbdt: GbdtParams | None = None

    @property
    def params(self) -> LinearParams | GbdtParams | None:
        """The settings of its family, the defaults where none are stated; none for the baseline."""
        if self.family == "linear":
            return self.linear or LinearParams()
        if self.family == "gbdt":
            return self.gbdt or GbdtParams()
        return None


class Calibration(Node, frozen=True):
    """The map from a model's scores to calibrated probabilities.

    `sigmoid` multiplies the log odds by `slope` and adds `intercept` (multiclass: it multiplies the
    log probabilities, and the intercept is 0). `isotonic` draws straight lines through the points
    (`x`, `y`).
    """

    method: Literal["sigmoid", "isotonic"]
    slope: float = 1.0
    intercept: float = 0.0
    x: list[float] = []
    y: list[float] = []


class Models(Node, frozen=True):
    """The families of models that compete, their budget and their settings.

    The baseline always runs, too. `negatives` is the share of the negative rows that are trained
    on. `class_weight: balanced` gives each class the same total weight. Both shift probabilities,
    and the shipped graph shifts them back.

    The resolved spec holds the chosen `members` and `calibration`. Where `members` are stated,
    there is no search.
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
