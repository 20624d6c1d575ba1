"""The outcomes of some rows, against which scores are judged, and the queries of a ranking.

What divides or draws the rows of a ranking divides or draws whole queries.
"""

import numpy as np
from msgspec import Struct

from headrace.arrays import Floats, Integers, Mask
from headrace.spec import Gain


class Grading(Struct, frozen=True):
    """Says what grades are worth: by their `gain`, and by the least grade that is `relevant`."""

    gain: Gain = "exponential"
    relevant: float = 1.0

    def gains(self, grades: Floats) -> Floats:
        """Return the gain of each grade.

        >>> Grading().gains(np.array([0.0, 1.0, 3.0])).tolist()
        [0.0, 1.0, 7.0]
        """
        return np.exp2(grades) - 1 if self.gain == "exponential" else grades

    def is_relevant(self, grades: Floats) -> Mask:
        """Say which grades are those of relevant rows."""
        return grades >= self.relevant


class Queries(Struct, frozen=True):
    """The query of each row `(N,)`, numbered from 0 without gaps, and what grades are worth."""

    of_row: Integers
    grading: Grading

    @property
    def count(self) -> int:
        """How many queries there are."""
        return int(self.of_row.max()) + 1 if len(self.of_row) else 0

    def select(self, rows: Mask | Integers) -> "Queries":
        """Select rows by a mask or by their positions; queries are numbered anew."""
        _, of_row = np.unique(self.of_row[rows], return_inverse=True)
        return Queries(of_row, self.grading)


class Truth(Struct, frozen=True):
    """The outcomes `y (N,)` of rows, what each row counts `(N,)`, and their queries."""

    y: Floats
    weight: Floats | None = None
    queries: Queries | None = None

    def __len__(self) -> int:
        return len(self.y)

    def select(self, rows: Mask | Integers) -> "Truth":
        """Select rows by a mask or by their positions; queries are numbered anew."""
        return Truth(
            self.y[rows],
            None if self.weight is None else self.weight[rows],
            None if self.queries is None else self.queries.select(rows),
        )

    def divide(self, folds: int, seed: int) -> Integers:
        """Divide rows, or queries, into folds at random; return the fold of each row `(N,)`.

        >>> queries = Queries(np.array([0, 0, 1, 1]), Grading())
        >>> fold = Truth(np.zeros(4), queries=queries).divide(2, seed=1)
        >>> bool(fold[0] == fold[1] != fold[2] == fold[3])
        True
        """
        units = len(self.y) if self.queries is None else self.queries.count
        fold_of_unit = np.asarray(np.random.default_rng(seed).permutation(units) % folds)
        return fold_of_unit if self.queries is None else fold_of_unit[self.queries.of_row]

    def thin_out(self, rows: Integers, most: int) -> Integers:
        """Return every so many of some rows, less than twice as many as `most`.

        Of a ranking it returns whole queries, at random: as many as fit into `most`, at least one.
        """
        if self.queries is None:
            return rows[:: max(1, len(rows) // most)]
        if len(rows) <= most:
            return rows
        _, query, sizes = np.unique(
            self.queries.of_row[rows], return_inverse=True, return_counts=True
        )
        order = np.random.default_rng(0).permutation(len(sizes))
        fits = int(np.searchsorted(np.cumsum(sizes[order]), most, side="right"))
        return np.asarray(rows[np.isin(query, order[: max(1, fits)])])
