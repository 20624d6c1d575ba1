"""The branch `goal`: the target, and the metric that decides."""

from typing import Annotated, Literal

from msgspec import Meta

from headrace.spec.metrics import Metric, Task
from headrace.spec.node import Duration, Node


class DecisionSpec(Node, frozen=True):
    """The threshold above which a binary prediction becomes a yes.

    `by` is the objective that chooses it: `f1`, the highest F1; `cost`, the lowest total cost,
    where each mistake costs `false_positive` or `false_negative`; `recall`, the best precision with
    at least this recall; `rate`, a yes for this share of the rows. A stated `threshold` is final;
    the resolved spec holds the one that was chosen.
    """

    by: Literal["f1", "cost", "recall", "rate"] | None = None
    false_positive: Annotated[float, Meta(ge=0.0)] = 1.0
    false_negative: Annotated[float, Meta(ge=0.0)] = 1.0
    recall: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.8
    rate: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.1
    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None


class Goal(Node, frozen=True):
    """The target of the predictions, and the one `metric` that decides between candidates.

    The report shows the `secondary` metrics first. An outcome is known `label_delay` after the time
    of its row: under a time split no model is fitted on outcomes that were still unknown when the
    rows that judge it began.
    """

    target: str
    task: Task | None = None
    positive: str | int | float | bool | None = None
    label_delay: Duration | None = None
    metric: Metric | None = None
    secondary: list[Metric] = []
    decision: DecisionSpec | None = None
