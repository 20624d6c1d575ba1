"""The tasks by name, and what every one of them answers."""

from typing import Any, Protocol

import polars as pl

from headrace.arrays import Floats, Mask
from headrace.spec import Task, Treatment
from headrace.tasks import binary, multiclass, regression


class TaskKind(Protocol):
    """What a task says of itself. Each is a module of this room.

    Raw scores are what families of models add up: `(N,)`, or `(N, K)` where there is one for each
    class. Scores are what a prediction shows of them, of the same shape.
    """

    HAS_CLASSES: bool
    """Whether the target is one of some classes, and scores are probabilities."""
    SCORE_EACH_CLASS: bool
    """Whether there is a score for each class, in the place of one score a row."""
    HAS_EVENT: bool
    """Whether one class is the event, which a decision is about."""
    SCORES: str
    """The output of the graph that holds the scores."""

    CALIBRATIONS: tuple[str, ...]
    """The methods by which scores can be calibrated."""
    TREATMENTS: tuple[Treatment, ...]
    """By which measures groups of people are compared."""
    LEAK_SHARE: float
    """What one column must explain of the target to be a leak."""
    LIGHTGBM_OBJECTIVE: str

    def check_target(self, values: pl.Series, distinct: int, where: str) -> None:
        """Raises `InputError` where the values of a target cannot be predicted by this task."""
        ...

    def infer_metric(self, values: pl.Series, positive: Any) -> tuple[Any, str]:
        """The metric that decides where none is stated, and why."""
        ...

    def width(self, classes: int) -> int:
        """How many raw scores a row has."""
        ...

    def to_scores(self, raw: Floats) -> Floats:
        """Scores of raw scores."""
        ...

    def to_raw(self, scores: Floats) -> Floats:
        """Raw scores of scores, which lie inside 0 and 1 where they are probabilities."""
        ...

    def link(self, graph: Any, raw: str) -> str:
        """Adds the nodes that make scores of raw scores; returns their tensor."""
        ...

    def unlink(self, graph: Any, scores: str) -> str:
        """Adds the nodes that make raw scores of scores, float64; returns their tensor."""
        ...

    def outputs(
        self, graph: Any, scores: str, classes: list[Any], threshold: float | None
    ) -> dict[str, tuple[str, Any, int | None]]:
        """Adds the nodes behind the scores; returns the graph's outputs (see `Graph.build`)."""
        ...

    def decide(self, scores: Floats, threshold: float) -> Floats:
        """The class number, or the value, that is predicted `(N,)`."""
        ...

    def treatments(
        self, y: Floats, scores: Floats, threshold: float
    ) -> dict[Treatment, tuple[Floats, Mask]]:
        """Each of `TREATMENTS` as the mean of values `(N,)` over the rows of a mask that count for it."""
        ...

    def shift_of_shares(self, by_class: Floats) -> Floats:
        """By how much raw scores are shifted where rows of the classes count `by_class (K,)` times as much."""
        ...

    def target_outputs(self, y: Floats, classes: int) -> Floats:
        """What target means are means of `(N, outputs)`."""
        ...

    def rarer_rows(self, y: Floats) -> int | None:
        """How many rows the rarer of two classes has; None where that says nothing."""
        ...


TASKS: dict[Task, TaskKind] = {"binary": binary, "multiclass": multiclass, "regression": regression}


def task_of(task: Task | None) -> TaskKind:
    """The task of a name; a resolved spec has one.

    >>> task_of("binary").HAS_EVENT
    True
    """
    assert task is not None
    return TASKS[task]
