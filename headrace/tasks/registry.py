"""The tasks by name, and the names that the module of every task has."""

from typing import Any, Protocol

import polars as pl

from headrace.arrays import Floats, Mask
from headrace.spec import Task, Treatment
from headrace.tasks import binary, multiclass, ranking, regression


class TaskKind(Protocol):
    """The names that the module of a task has.

    Models add up raw scores, and a prediction shows scores. Both are `(N,)`, or `(N, K)` if there
    is one for each of `K` classes:

        task          raw scores                          scores
        binary        log odds                            probability of the positive class
        multiclass    log probabilities up to a constant  probability of each class
        regression    the value                           the value
        ranking       a number to order rows by           the same
    """

    HAS_CLASSES: bool
    """Whether the target is a class, and scores are probabilities."""
    SCORE_EACH_CLASS: bool
    """Whether a row has a score for each class, and not one score alone."""
    HAS_EVENT: bool
    """Whether one of two classes is the event that a decision is about."""
    HAS_QUERIES: bool
    """Whether rows are judged by their order within a query."""
    SCORES: str
    """The output of the graph that holds the scores."""

    CALIBRATIONS: tuple[str, ...]
    """The methods by which scores can be calibrated."""
    TREATMENTS: tuple[Treatment, ...]
    """The measures by which groups of people are compared."""
    LEAK_SHARE: float
    """The share of the target that a single column must explain to be reported as a leak."""
    LIGHTGBM_OBJECTIVE: str
    """The objective that LightGBM minimises."""

    def check_target(self, values: pl.Series, distinct: int, where: str) -> None:
        """Raise `InputError` if this task cannot predict a target with these values.

        Parameters: `distinct`, how many different values there are.
        """
        ...

    def infer_metric(self, values: pl.Series, positive: Any) -> tuple[Any, str]:
        """Choose the metric that decides if the spec states none; return it and the reason."""
        ...

    def width(self, classes: int) -> int:
        """Return how many raw scores a row has."""
        ...

    def to_scores(self, raw: Floats) -> Floats:
        """Convert raw scores to scores."""
        ...

    def to_raw(self, scores: Floats) -> Floats:
        """Convert scores to raw scores; probabilities of 0 and 1 are moved off these ends first."""
        ...

    def link(self, graph: Any, raw: str) -> str:
        """Add the nodes that convert raw scores to scores; return their tensor."""
        ...

    def unlink(self, graph: Any, scores: str) -> str:
        """Add the nodes that convert scores (float64) to raw scores; return their tensor."""
        ...

    def outputs(
        self, graph: Any, scores: str, classes: list[Any], threshold: float | None
    ) -> dict[str, tuple[str, Any, int | None]]:
        """Add the nodes behind the scores; return the graph's outputs (see `Graph.build`)."""
        ...

    def decide(self, scores: Floats, threshold: float) -> Floats:
        """Return the number of the class, or the value, that is predicted `(N,)`."""
        ...

    def treatments(
        self, y: Floats, scores: Floats, threshold: float
    ) -> dict[Treatment, tuple[Floats, Mask]]:
        """Return values `(N,)` and a mask `(N,)` for each of `TREATMENTS`.

        The measure is the mean of the values over the rows of the mask.
        """
        ...

    def shift_of_shares(self, by_class: Floats) -> Floats:
        """Compute by how much raw scores shift if rows count `by_class (K,)` times as much."""
        ...

    def target_outputs(self, y: Floats, classes: int) -> Floats:
        """Return the numbers whose means are the target means of categories `(N, outputs)`."""
        ...

    def scale(self, y: Floats) -> float:
        """Return the standard deviation of a number's outcomes; 1 for any other task."""
        ...

    def rarer_rows(self, y: Floats) -> int | None:
        """Count the rows of the rarer of two classes; None if the task does not have two."""
        ...


TASKS: dict[Task, TaskKind] = {
    "binary": binary,
    "multiclass": multiclass,
    "regression": regression,
    "ranking": ranking,
}


def find_task(task: Task | None) -> TaskKind:
    """Return the task of a name; a resolved spec always has one.

    >>> find_task("binary").HAS_EVENT
    True
    """
    assert task is not None
    return TASKS[task]
