"""The target as numbers, and the classes by which predictions are named."""

from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats
from headrace.spec import Data, Goal, Task
from headrace.tasks import Grading, Queries, TaskKind, Truth, find_task


class Target(Struct, frozen=True):
    """The column that a model predicts.

    `classes` are in the order of their numbers (in a binary task negative, then positive);
    regression has none. `grading` says what the grades of a ranking are worth.
    """

    name: str
    task: Task
    classes: list[Any]
    grading: Grading = Grading()

    @property
    def positive(self) -> Any:
        """The class whose probability a binary system predicts."""
        return self.classes[1] if self.kind.HAS_EVENT else None

    @property
    def kind(self) -> TaskKind:
        """The properties and functions of its task."""
        return find_task(self.task)


def make_target(goal: Goal, values: pl.Series) -> Target:
    """Name the classes of a (resolved) goal from the targets `(N,)` of all rows.

    >>> goal = Goal(target="left", task="binary", positive="no")
    >>> make_target(goal, pl.Series(["no", "yes", None, "no"])).classes
    ['yes', 'no']
    """
    assert goal.task is not None
    task = find_task(goal.task)
    if not task.HAS_CLASSES:
        return Target(goal.target, goal.task, [], make_grading(goal))

    classes = values.drop_nulls().unique().sort().to_list()
    if values.dtype.is_float():
        classes = [int(label) for label in classes]
    if task.HAS_EVENT:
        classes.sort(key=lambda label: bool(label == goal.positive))
    return Target(goal.target, goal.task, classes)


def make_grading(goal: Goal) -> Grading:
    """Return what the grades of a (resolved) goal are worth."""
    return Grading(goal.gain or "exponential", goal.relevant)


def read_truth(target: Target, data: Data, frame: pl.DataFrame) -> Truth:
    """Read the outcomes of a table's rows, what each counts, and their queries in a ranking.

    A column of weights that the table does not have counts for nothing.
    """
    weight = None
    if data.weight is not None and data.weight in frame.columns:
        weight = frame[data.weight].cast(pl.Float64).to_numpy()
    queries = None
    if target.kind.HAS_QUERIES:
        assert data.group is not None
        of_row = frame[data.group].rank("dense").cast(pl.Int64).to_numpy() - 1
        queries = Queries(of_row, target.grading)
    return Truth(encode_target(target, frame[target.name]), weight, queries)


def encode_target(target: Target, values: pl.Series) -> Floats:
    """Encode targets `(N,)` as float64: the value itself, or the number of the class.

    A missing target, or one of no known class, is NaN.

    >>> target = Target("left", "binary", ["no", "yes"])
    >>> encode_target(target, pl.Series(["yes", "no", "maybe", None])).tolist()
    [1.0, 0.0, nan, nan]
    """
    # The copies may be written to; arrays of Polars may not.
    if not target.kind.HAS_CLASSES:
        return values.cast(pl.Float64).to_numpy().copy()
    numbers = {label: float(number) for number, label in enumerate(target.classes)}
    encoded = values.replace_strict(
        list(numbers), list(numbers.values()), default=None, return_dtype=pl.Float64
    )
    return encoded.fill_null(np.nan).to_numpy().copy()
