"""The branch `evaluate`: further checks on the test rows."""

from typing import Literal

from headrace.spec.node import Node, Positive

Treatment = Literal[
    "selection_rate", "true_positive_rate", "false_positive_rate",
    "accuracy", "mean_error", "mean_absolute_error",
]  # fmt: skip
"""Measures of how a model treats a group of people.

`selection_rate`: the share of the group that gets a yes; `true_positive_rate`: of those who should;
`false_positive_rate`: of those who should not; `accuracy`: the share of right answers;
`mean_error`: the mean of prediction minus truth; `mean_absolute_error`: the mean of its size.
"""


class Fairness(Node, frozen=True):
    """The columns that name groups of people, whether or not they are features of the model.

    The report shows how the model treats each group. `max_gap` is a gate: it bounds the difference
    between the groups of a column.
    """

    attributes: list[str] = []
    max_gap: dict[Treatment, Positive] = {}


class Evaluate(Node, frozen=True):
    """Further checks on the test rows."""

    fairness: Fairness = Fairness()
