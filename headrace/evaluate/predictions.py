"""Scores of rows and the truth about them: the value that travels through evaluation."""

import numpy as np
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers, Mask
from headrace.spec import Task
from headrace.tasks import Queries, TaskKind, Truth, find_task

HALF = 0.5
"""The threshold of a binary score as long as nobody stated one."""


class Predictions(Struct, frozen=True):
    """Scores of rows, and the truth.

    Parameters:

    - `y (N,)`: class numbers, or values;
    - `scores`: the positive class's probability `(N,)`, every class's `(N, K)`, or values `(N,)`;
    - `weight (N,)`: how much each row counts, all the same where there is none;
    - `owner (N,)`: the number of each row's owner, from 0 on; a bootstrap draws the rows of one
      owner together;
    - `threshold`: the least binary score that counts as a yes;
    - `queries` of a ranking: its rows are judged query by query.

    >>> predictions = Predictions("binary", np.array([0.0, 1.0]), np.array([0.4, 0.6]))
    >>> predictions.decided
    array([0., 1.])
    """

    task: Task
    y: Floats
    scores: Floats
    weight: Floats | None = None
    owner: Integers | None = None
    threshold: float | None = None
    queries: Queries | None = None

    @classmethod
    def of_truth(
        cls, task: Task, truth: Truth, scores: Floats, threshold: float | None = None
    ) -> "Predictions":
        """Return scores of rows, of which no two have one owner, and the truth about them."""
        return cls(task, truth.y, scores, truth.weight, threshold=threshold, queries=truth.queries)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def kind(self) -> TaskKind:
        """The functions of the task."""
        return find_task(self.task)

    @property
    def cut(self) -> float:
        """The threshold, or half."""
        return HALF if self.threshold is None else self.threshold

    @property
    def weights(self) -> Floats:
        """How much each row counts `(N,)`."""
        return np.ones(len(self.y)) if self.weight is None else self.weight

    @property
    def decided(self) -> Floats:
        """The class number, or the value, that is predicted `(N,)`."""
        return self.kind.decide(self.scores, self.cut)

    @property
    def unit_of_row(self) -> Integers | None:
        """The owner or the query of each row `(N,)`; None where every row is on its own."""
        return self.owner if self.queries is None else self.queries.of_row

    def with_scores(self, scores: Floats, threshold: float | None) -> "Predictions":
        """Return another model's scores of the same rows."""
        return structs.replace(self, scores=scores, threshold=threshold)

    def select(self, rows: Mask | Integers) -> "Predictions":
        """Select rows by a mask or by their positions; owners are numbered anew."""
        weight = None if self.weight is None else self.weight[rows]
        owner = self.owner
        # Numbers without gaps: a bootstrap draws from 0 to the largest.
        if owner is not None:
            owner = np.unique(owner[rows], return_inverse=True)[1]
        return structs.replace(
            self,
            y=self.y[rows],
            scores=self.scores[rows],
            weight=weight,
            owner=owner,
            queries=None if self.queries is None else self.queries.select(rows),
        )

    def draw(self, most: int, seed: int) -> Integers:
        """Draw about `most` rows, ascending; of a ranking whole queries. All where they are fewer.

        >>> len(Predictions("regression", np.zeros(9), np.zeros(9)).draw(4, seed=1))
        4
        """
        rows = len(self)
        if rows <= most:
            return np.arange(rows)
        generator = np.random.default_rng(seed)
        if self.queries is None:
            return np.sort(generator.choice(rows, most, replace=False))
        order = generator.permutation(self.queries.count)
        sizes = np.bincount(self.queries.of_row, minlength=len(order))
        drawn = order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), most)))]
        return np.flatnonzero(np.isin(self.queries.of_row, drawn))
