"""The branch `evaluate`: what else is looked at on the test rows."""

from typing import Literal

from headrace.spec.node import Node, Positive

Treatment = Literal[
    "selection_rate", "true_positive_rate", "false_positive_rate", "accuracy", "mean_error", "mean_absolute_error",
]  # fmt: skip
"""How a group of people fares: the share that gets a yes, of those who should and of those who should not; the share of
right answers; the mean of prediction minus truth, and of its size."""


class Fairness(Node, frozen=True):
    """Columns that name groups of people, whether or not the model sees them.

    How it treats each group is reported; `max_gap` bounds the difference between the groups of a
    column, as a gate.
    """

    attributes: list[str] = []
    max_gap: dict[Treatment, Positive] = {}


class Evaluate(Node, frozen=True):
    """What else is looked at on the test rows."""

    fairness: Fairness = Fairness()
