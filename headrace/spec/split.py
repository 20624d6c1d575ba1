"""The branch `split`: how rows are kept apart."""

from typing import Literal

from headrace.spec.node import Duration, Fraction, Node


class SplitSpec(Node, frozen=True):
    """How rows are kept apart: fractions of all rows; `gap` is left out before each border of a
    time split (the goal's `label_delay` where it is left out).
    """

    by: Literal["time", "group", "stratified", "random"] | None = None
    validation: Fraction = 0.15
    test: Fraction = 0.15
    gap: Duration | None = None
