"""The branch `evaluate`: further checks on the test rows."""

from typing import Annotated, Literal

from headrace.spec.node import Node, Positive, about

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
    """How the model treats groups of people."""

    attributes: Annotated[
        list[str],
        about(
            "The columns that name groups of people, whether or not the model sees them; the "
            "report shows how the model treats each group.",
            ["sex", "age"],
        ),
    ] = []
    max_gap: Annotated[
        dict[Treatment, Positive],
        about(
            "Gates: bounds on the difference between the groups of a column.",
            {"true_positive_rate": 0.1},
        ),
    ] = {}


class Evaluate(Node, frozen=True):
    """Further checks on the test rows."""

    fairness: Annotated[Fairness, about("How the model treats groups of people.")] = Fairness()
