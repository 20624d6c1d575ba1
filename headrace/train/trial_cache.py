"""What of a search outlives it: a trial that was made is not made again by a run that was killed or
that asks for more, and a matrix that several runs see is computed once.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from headrace.arrays import Floats
from headrace.models import Matrix
from headrace.spec import Member

T = TypeVar("T")
MOST_CELLS = 20_000_000
"""Matrices of larger tables (rows times columns) are computed again: a search sees a dozen, and disks are small."""


class Memo(Protocol):
    """Remembers values: what was made of the same before, or what `make` makes now."""

    def __call__(self, kind: type[T], made_of: Any, make: Callable[[], T]) -> T:
        """The value, of type `kind`."""


def no_memo(kind: type[T], made_of: Any, make: Callable[[], T]) -> T:
    """Remembers nothing."""
    return make()


class TrialOutcome(Struct, frozen=True):
    """What became of a trial: the member with the settings that it ended with, its predictions of
    the judging rows and their judgement (no scores where it was given up); `reports` are the costs
    that it told on the way, by step.
    """

    member: Member
    seconds: float
    reports: list[tuple[int, float]]
    scores: Floats | None = None
    value: float = 0.0
    cost: float = 0.0


class Matrices(Struct, frozen=True):
    """What a model sees of fitted and of predicted rows, each as its one array, or the three of
    CSR; and which columns hold codes.
    """

    codes: list[int]
    width: int
    fitted: list[npt.NDArray[Any]]
    held: list[npt.NDArray[Any]]


def pack(X: Matrix) -> list[npt.NDArray[Any]]:
    """A matrix as plain arrays."""
    return [X] if isinstance(X, np.ndarray) else [X.data, X.indices, X.indptr]


def unpack(arrays: list[npt.NDArray[Any]], width: int) -> Matrix:
    """The matrix `(N, width)` again."""
    if len(arrays) == 1:
        return arrays[0]
    from scipy.sparse import csr_matrix

    return csr_matrix(tuple(arrays), shape=(len(arrays[2]) - 1, width))
