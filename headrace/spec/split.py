"""The branch `split`: the division of rows into train, validation and test."""

from typing import Literal

from headrace.spec.node import Duration, Fraction, Node


class SplitSpec(Node, frozen=True):
    """The division of rows into train, validation and test.

    `validation` and `test` are fractions of all rows. Under a time split the rows in a `gap` before
    each border are left out; the goal's `label_delay` is the gap where none is stated.
    """

    by: Literal["time", "group", "stratified", "random"] | None = None
    validation: Fraction = 0.15
    test: Fraction = 0.15
    gap: Duration | None = None
