"""A fitted model of any family, and how raw scores become predictions."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from headrace.arrays import Floats

Matrix = Any
"""float32 `(N, F)`, or CSR with the columns of bags behind the dense ones."""


class Fitted(Struct, frozen=True):
    """`params` are the settings that were used, chosen rounds included; `state` is the family's
    own.

    `shift` (of one number, or one for each class) is added to raw scores: it undoes exactly what
    drawing or weighting the classes of the training rows did to them.
    """

    family: str
    params: Any
    state: Any
    shift: list[float] = []


class TrialPruned(Exception):  # noqa: N818 - no error: a trial that was given up
    """A fit was stopped because others were better at the same point."""


class Sample(Struct, frozen=True):
    """Rows to fit on: `X (N, F)`, `y (N,)`, how much each counts (`weight (N,)`; the same where
    there is none), and which columns hold the codes of categories.
    """

    X: Matrix
    y: Floats
    weight: Floats | None = None
    codes: list[int] = []


class ValidationSet(Struct, frozen=True):
    """Rows on which a family may choose when to stop; `offset` is what `Fitted.shift` will be.

    `should_prune(step, loss)` is asked now and then; `step` counts the work done in a unit that
    candidates share.
    """

    X: Matrix
    y: Floats
    weight: Floats | None = None
    offset: list[float] = []
    deadline: float = float("inf")
    should_prune: Callable[[int, float], bool] | None = None
