"""The branch `models`: the families of models that compete, and their settings."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headrace.spec.features import Encode, Kind
from headrace.spec.node import Count, Node, Positive, about

Family = Literal["baseline", "linear", "gbdt", "forest"]


class LinearParams(Node, frozen=True):
    """Logistic, multinomial or ridge regression, by task."""

    l2: Annotated[
        Positive, about("The penalty on squared weights, per row, on standardized columns.", 1e-3)
    ] = 1e-4
    objective: Annotated[
        Literal["pairs", "pointwise"] | None,
        about(
            "Of a ranking: `pairs` puts the rows of a query in order, which it does if left out; "
            "`pointwise` predicts the grade of each row.",
            "pointwise",
        ),
    ] = None


class GbdtParams(Node, frozen=True):
    """LightGBM trees."""

    objective: Annotated[
        Literal[
            "binary",
            "multiclass",
            "regression",
            "regression_l1",
            "mape",
            "quantile",
            "lambdarank",
            "xendcg",
            "pointwise",
        ]
        | None,
        about(
            "LightGBM's objective; the goal's metric decides if it is left out. Of a ranking: "
            "`lambdarank`, `xendcg`, or `pointwise`, which predicts the grade of each row.",
            "quantile",
        ),
    ] = None
    quantile: Annotated[
        float,
        Meta(gt=0.0, lt=1.0),
        about("The level that the objective `quantile` predicts.", 0.9),
    ] = 0.5
    truncation: Annotated[
        Count | None,
        about(
            "Of `lambdarank`: pairs count whose better row is among so many first ones; if left "
            "out, three more than the goal's metric looks at.",
            13,
        ),
    ] = None

    learning_rate: Annotated[
        float, Meta(gt=0.0, le=1.0), about("The weight of each new tree.", 0.03)
    ] = 0.05
    leaves: Annotated[int, Meta(ge=2, le=4096), about("The most leaves of a tree.", 63)] = 31
    min_rows_per_leaf: Annotated[Count, about("The fewest rows in a leaf.", 100)] = 20
    l2: Annotated[float, Meta(ge=0.0), about("The penalty on squared values of leaves.", 5.0)] = 1.0
    column_fraction: Annotated[
        Annotated[float, Meta(gt=0.0, le=1.0)] | None,
        about(
            "The share of the columns that each tree sees, drawn at random; if left out 0.8, or "
            "about 80 columns of more than a hundred.",
            0.6,
        ),
    ] = None
    row_fraction: Annotated[
        float,
        Meta(gt=0.0, le=1.0),
        about("The share of the rows that each tree is fitted on, drawn at random.", 0.8),
    ] = 1.0
    extra_random: Annotated[bool, about("Draw the thresholds of splits at random.", True)] = False
    bins: Annotated[
        int, Meta(ge=2, le=65535), about("The bins into which numbers are cut.", 1023)
    ] = 255
    categories: Annotated[
        Literal["ordered", "sets"],
        about(
            "How a split divides categories: `ordered` by a threshold on their codes, which are in "
            "the order of frequency; `sets` into any two sets.",
            "sets",
        ),
    ] = "ordered"
    category_smoothing: Annotated[
        float, Meta(ge=0.0), about("LightGBM's `cat_smooth`, for `categories: sets`.", 20)
    ] = 10.0
    category_l2: Annotated[
        float, Meta(ge=0.0), about("LightGBM's `cat_l2`, for `categories: sets`.", 20)
    ] = 10.0
    max_rounds: Annotated[Count, about("The most trees, if training stops early.")] = 5000
    early_stopping: Annotated[
        Count, about("Stop once the metric has not improved for this many trees.", 100)
    ] = 50
    rounds: Annotated[
        Count | None, about("The number of trees; if left out, training stops early.", 300)
    ] = None


class ForestParams(Node, frozen=True):
    """scikit-learn's extra trees."""

    trees: Annotated[Count, about("The number of trees; fewer where time is short.", 500)] = 200
    leaves: Annotated[int, Meta(ge=2, le=100_000), about("The most leaves of a tree.", 300)] = 1000
    min_rows_per_leaf: Annotated[Count, about("The fewest rows in a leaf.", 5)] = 2
    column_fraction: Annotated[
        Annotated[float, Meta(gt=0.0, le=1.0)] | None,
        about(
            "The share of the columns that each split looks at; if left out the square root of "
            "their number, and all of them in a regression.",
            0.5,
        ),
    ] = None


Params = LinearParams | GbdtParams | ForestParams


class Search(Node, frozen=True):
    """The budget of the search: it ends after so many trials or seconds, whichever comes first.

    With `trials: 0` only the stated settings are tried.
    """

    trials: Annotated[int, Meta(ge=0), about("The most trials.", 50)] = 20
    seconds: Annotated[Positive, about("The most seconds.", 300)] = 60.0
    prefer: Annotated[
        Literal["quality", "speed"],
        about(
            "`quality` ships the best, averages included; `speed` ships the fastest single "
            "candidate that is not certainly worse than the best.",
            "speed",
        ),
    ] = "quality"


class Member(Node, frozen=True):
    """A model of the shipped ensemble."""

    family: Annotated[Family, about("The family of the model.", "gbdt")]
    weight: Annotated[
        float, Meta(gt=0.0, le=1.0), about("Its share in the average of all members.", 0.5)
    ] = 1.0
    encode: Annotated[
        dict[Kind, list[Encode]],
        about("The encoders by kind of column.", {"categorical": ["ordinal", "target"]}),
    ] = {}
    linear: Annotated[LinearParams | None, about("The settings of a linear model.")] = None
    gbdt: Annotated[GbdtParams | None, about("The settings of trees.")] = None
    forest: Annotated[ForestParams | None, about("The settings of a forest.")] = None

    @property
    def params(self) -> Params | None:
        """The settings of its family, the defaults where none are stated; none for the baseline."""
        if self.family == "linear":
            return self.linear or LinearParams()
        if self.family == "gbdt":
            return self.gbdt or GbdtParams()
        if self.family == "forest":
            return self.forest or ForestParams()
        return None


class Calibration(Node, frozen=True):
    """The map from a model's scores to calibrated probabilities."""

    method: Annotated[
        Literal["sigmoid", "isotonic"],
        about(
            "`sigmoid` multiplies the log odds by `slope` and adds `intercept` (multiclass: it "
            "multiplies the log probabilities); `isotonic` draws lines through the points `x`, `y`."
        ),
    ]
    slope: Annotated[float, about("The slope of `sigmoid`.", 0.9)] = 1.0
    intercept: Annotated[float, about("The intercept of `sigmoid`.", -0.1)] = 0.0
    x: Annotated[list[float], about("The scores of the points of `isotonic`.", [0.0, 0.4])] = []
    y: Annotated[
        list[float], about("The probabilities of the points of `isotonic`.", [0.0, 0.3])
    ] = []


class Models(Node, frozen=True):
    """The families of models that compete, their budget and their settings.

    The baseline always runs, too. The resolved spec holds the chosen `members` and `calibration`.
    """

    candidates: Annotated[
        list[Family], Meta(min_length=1), about("The families that compete.", ["gbdt"])
    ] = field(default_factory=lambda: ["linear", "gbdt"])
    search: Annotated[Search, about("The budget; the first limit ends it.")] = Search()
    calibrate: Annotated[bool, about("Calibrate probabilities, where that helps.", False)] = True
    negatives: Annotated[
        float,
        Meta(gt=0.0, le=1.0),
        about(
            "The share of the negative rows that are trained on; the shipped graph corrects the "
            "probabilities for it. A query of a ranking keeps its relevant rows, and of the others "
            "at least ten.",
            0.1,
        ),
    ] = 1.0
    class_weight: Annotated[
        Literal["balanced"] | dict[str, Positive] | None,
        about(
            "The weight of each class in fits; `balanced` gives each the same total weight. The "
            "shipped graph corrects the probabilities for it.",
            "balanced",
            {"yes": 5},
        ),
    ] = None
    linear: Annotated[LinearParams, about("Initial settings of linear models.")] = LinearParams()
    gbdt: Annotated[GbdtParams, about("The initial settings of trees.")] = GbdtParams()
    forest: Annotated[ForestParams, about("The initial settings of forests.")] = ForestParams()
    members: Annotated[
        list[Member], about("The models to fit; where they are stated, there is no search.")
    ] = []
    calibration: Annotated[
        Calibration | None, about("The calibration of the members, as a run has chosen it.")
    ] = None
