"""The results of a search that outlive it, so that no trial is fitted twice.

A run that was killed, or that asks for more trials, finds the earlier ones again; a matrix that
several runs need is computed once.
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
"""Matrices of larger tables (rows times columns) are computed again: a search needs a dozen of
them, and disks are small."""


class Memo(Protocol):
    """A memory of values by what they depend on."""

    def __call__(self, kind: type[T], key: Any, make: Callable[[], T], /) -> T:
        """Return the value of type `kind` under a key; call `make` where there is none yet."""


def no_memo(kind: type[T], key: Any, make: Callable[[], T], /) -> T:
    """Remember nothing: call `make` every time."""
    return make()


class TrialOutcome(Struct, frozen=True):
    """The outcome of a trial; without scores where it was pruned.

    `member` has the settings that it ended with, `scores` predict the judging rows, `value` and
    `cost` are the objective's, and `reports` the costs that it reported on the way, by step.
    """

    member: Member
    seconds: float
    reports: list[tuple[int, float]]
    scores: Floats | None = None
    value: float = 0.0
    cost: float = 0.0


class Matrices(Struct, frozen=True):
    """The matrices of a fold as plain arrays (see `pack`): the fitted and the predicted rows.

    `codes` are the columns that hold codes of categories, `width` is the number of columns.
    """

    codes: list[int]
    width: int
    fitted: list[npt.NDArray[Any]]
    predicted: list[npt.NDArray[Any]]


def pack(X: Matrix) -> list[npt.NDArray[Any]]:
    """Return a matrix as plain arrays: one of a dense matrix, the three of a CSR matrix."""
    return [X] if isinstance(X, np.ndarray) else [X.data, X.indices, X.indptr]


def unpack(arrays: list[npt.NDArray[Any]], width: int) -> Matrix:
    """Return the matrix `(N, width)` that was packed.

    >>> from scipy.sparse import csr_matrix
    >>> arrays = pack(csr_matrix([[0.0, 2.0], [1.0, 0.0]]))
    >>> len(arrays), unpack(arrays, 2).toarray().tolist()
    (3, [[0.0, 2.0], [1.0, 0.0]])
    """
    if len(arrays) == 1:
        return arrays[0]
    from scipy.sparse import csr_matrix

    return csr_matrix(tuple(arrays), shape=(len(arrays[2]) - 1, width))
