"""The branch `split`: the division of rows into train, validation and test."""

from typing import Annotated, Literal

from headrace.spec.node import Duration, Fraction, Node, about


class SplitSpec(Node, frozen=True):
    """The division of rows into train, validation and test."""

    by: Annotated[
        Literal["time", "group", "stratified", "random"] | None,
        about(
            "How rows are divided: the latest ones last; whole groups; with the same share of each "
            "class; or at random. If left out: the first of them that the data allows.",
            "time",
        ),
    ] = None
    validation: Annotated[
        Fraction, about("The share of the rows that choose between candidates.", 0.2)
    ] = 0.15
    test: Annotated[
        Fraction, about("The share of the rows that judge the model; 0 with `data.holdout`.", 0.2)
    ] = 0.15
    gap: Annotated[
        Duration | None,
        about(
            "The time before each border of a time split whose rows are left out; if left out, the "
            "goal's `label_delay`.",
            "1h",
        ),
    ] = None
