"""Scores of rows and the truth about them: the value that travels through evaluation."""

import numpy as np
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers, Mask
from headrace.spec import Task
from headrace.tasks import TaskKind, find_task

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
    - `threshold`: the least binary score that counts as a yes.

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
            self, y=self.y[rows], scores=self.scores[rows], weight=weight, owner=owner
        )
