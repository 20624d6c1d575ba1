"""The branch `goal`: the target, and the metric that decides."""

from typing import Annotated, Literal

from msgspec import Meta

from headrace.spec.metrics import Metric, Task
from headrace.spec.node import Duration, Node, about

Gain = Literal["exponential", "linear"]


class DecisionSpec(Node, frozen=True):
    """The threshold above which a binary prediction becomes a yes."""

    by: Annotated[
        Literal["f1", "cost", "recall", "rate"] | None,
        about(
            "The objective that chooses the threshold: the highest F1; the lowest total cost; the "
            "best precision with at least this `recall`; or a yes for this `rate` of the rows.",
            "cost",
        ),
    ] = None
    false_positive: Annotated[float, Meta(ge=0.0), about("The cost of a false alarm.", 1)] = 1.0
    false_negative: Annotated[float, Meta(ge=0.0), about("The cost of a miss.", 5)] = 1.0
    recall: Annotated[
        float, Meta(gt=0.0, le=1.0), about("The minimum recall, with `by: recall`.", 0.9)
    ] = 0.8
    rate: Annotated[
        float,
        Meta(gt=0.0, lt=1.0),
        about("The share of rows that get a yes, with `by: rate`.", 0.05),
    ] = 0.1
    threshold: Annotated[
        Annotated[float, Meta(ge=0.0, le=1.0)] | None,
        about(
            "The threshold itself, in place of an objective. The resolved spec holds the one that "
            "was chosen.",
            0.35,
        ),
    ] = None


class Goal(Node, frozen=True):
    """The target of the predictions, and the one metric that decides between candidates."""

    target: Annotated[str, about("The column to predict.", "clicked")]
    task: Annotated[
        Task | None, about("The kind of target; its values decide if it is left out.", "binary")
    ] = None
    positive: Annotated[
        str | int | float | bool | None,
        about("The positive class of a binary target; if left out, yes, else the rarer value."),
    ] = None
    label_delay: Annotated[
        Duration | None,
        about(
            "How long after its row an outcome is known. Under a time split no model is fitted on "
            "outcomes that were still unknown when the rows that judge it began.",
            "7d",
        ),
    ] = None
    metric: Annotated[
        Metric | None,
        about("The metric that decides; chosen by task and balance if left out.", "log_loss"),
    ] = None
    gain: Annotated[
        Gain | None,
        about(
            "What a grade of a ranking is worth: `exponential` is 2^grade - 1, `linear` the grade "
            "itself; if left out, linear where a grade is fractional or above 12.",
            "linear",
        ),
    ] = None
    relevant: Annotated[
        float,
        Meta(gt=0.0),
        about("The least grade of a ranking at which a row is relevant.", 3),
    ] = 1.0
    secondary: Annotated[
        list[Metric],
        about("Metrics that must not get worse; the report shows them first.", ["roc_auc"]),
    ] = []
    decision: Annotated[
        DecisionSpec | None, about("How a probability becomes a yes or a no; none if left out.")
    ] = None
