"""The branch `goal`: what is predicted, and what decides."""

from typing import Annotated, Literal

from msgspec import Meta

from headrace.spec.metrics import Metric, Task
from headrace.spec.node import Duration, Node


class DecisionSpec(Node, frozen=True):
    """When a binary prediction becomes a yes: above the threshold that is best by a stated
    objective.

    `by`: `f1`, its maximum; `cost`, the least total cost (`false_positive` and `false_negative` for
    each mistake); `recall`, the best precision among thresholds with at least this recall; `rate`,
    this share of the rows. The resolved spec holds the `threshold`; one that is stated is kept.
    """

    by: Literal["f1", "cost", "recall", "rate"] | None = None
    false_positive: Annotated[float, Meta(ge=0.0)] = 1.0
    false_negative: Annotated[float, Meta(ge=0.0)] = 1.0
    recall: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.8
    rate: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.1
    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None


class Goal(Node, frozen=True):
    """What is predicted, and the one number that decides between candidates; `secondary` ones are
    reported first.

    An outcome is known `label_delay` after its row: under a time split no model is fitted on one
    that was not known yet when the rows that it is judged on began.
    """

    target: str
    task: Task | None = None
    positive: str | int | float | bool | None = None
    label_delay: Duration | None = None
    metric: Metric | None = None
    secondary: list[Metric] = []
    decision: DecisionSpec | None = None
