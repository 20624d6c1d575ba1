"""The values that go into a fit, and the fitted model that comes out of it, for every family."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from headrace.arrays import Floats
from headrace.tasks import Queries

Matrix = Any
"""float32 `(N, F)`, or sparse (CSR) with the columns of bags behind the dense ones."""


class Fitted(Struct, frozen=True):
    """A fitted model of any family.

    `params` are the settings that were used, with the number of rounds that was chosen; `state` is
    the family's own. `shift` (one number, or one for each class) is added to raw scores. It undoes
    what subsampling or weighting the classes of the training rows did to them. Those of a ranking
    are multiplied by `scale`, so that scores of several models can be averaged.
    """

    family: str
    params: Any
    state: Any
    shift: list[float] = []
    scale: float = 1.0


class TrialPruned(Exception):  # noqa: N818 - no error: a trial that was given up
    """A fit was stopped because others had a smaller loss at the same step."""


class Sample(Struct, frozen=True):
    """Rows to fit on: `X (N, F)` and `y (N,)`.

    `weight (N,)` is how much each row counts; all count the same without it. `codes` are the
    columns that hold the codes of categories. The rows of a ranking lie by query, shuffled within.
    """

    X: Matrix
    y: Floats
    weight: Floats | None = None
    codes: list[int] = []
    queries: Queries | None = None


class ValidationSet(Struct, frozen=True):
    """Rows on which a family may choose when to stop, and the limits of a fit.

    `offset` is what `Fitted.shift` will be. `deadline` is a time of `Clock.monotonic_s`. From time
    to time the family calls `should_prune(step, loss)`; `step` is the work done so far, in a unit
    that all candidates share. In a ranking `cost(raw scores)` is to be made small.
    """

    X: Matrix
    y: Floats
    weight: Floats | None = None
    offset: list[float] = []
    deadline: float = float("inf")
    should_prune: Callable[[int, float], bool] | None = None
    cost: Callable[[Floats], float] | None = None
