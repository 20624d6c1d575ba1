"""Scores beside what came of the rows that they were made of: the value that travels through evaluation."""

import numpy as np
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers, Mask
from headrace.spec import Task
from headrace.tasks import TaskKind, task_of

HALF = 0.5
"""Where a binary score becomes a yes as long as nobody stated a threshold."""


class Predictions(Struct, frozen=True):
    """Scores of rows, and the truth.

    Parameters: `y (N,)`, class numbers or values; `scores`, the positive class's probability
    `(N,)`, every class's `(N, K)`, or values `(N,)`; `weight (N,)`, how much each row counts (the
    same where there is none); `owner (N,)`, whose each row is, as numbers from 0 on: rows of one
    owner are drawn together; `threshold`, where a binary score becomes a yes.
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
        """What the task answers."""
        return task_of(self.task)

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
        """Another model's scores of the same rows."""
        return structs.replace(self, scores=scores, threshold=threshold)

    def select(self, rows: Mask | Integers) -> "Predictions":
        """Some of the rows, by a mask or by their positions; owners are numbered anew."""
        return structs.replace(
            self,
            y=self.y[rows],
            scores=self.scores[rows],
            weight=None if self.weight is None else self.weight[rows],
            owner=None
            if self.owner is None
            else np.unique(self.owner[rows], return_inverse=True)[1],
        )
