"""The target as numbers, and the classes by which predictions are named."""

from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats
from headrace.spec import Goal, Task
from headrace.tasks import TaskKind, task_of


class Target(Struct, frozen=True):
    """What is predicted; `classes` in the order of their numbers (binary: negative, positive), none in regression."""

    name: str
    task: Task
    classes: list[Any]

    @property
    def positive(self) -> Any:
        """The class whose probability a binary system predicts."""
        return self.classes[1] if self.kind.HAS_EVENT else None

    @property
    def kind(self) -> TaskKind:
        """What its task answers."""
        return task_of(self.task)


def make_target(goal: Goal, values: pl.Series) -> Target:
    """Names the classes of a (resolved) goal from all rows' targets."""
    assert goal.task is not None
    if not task_of(goal.task).HAS_CLASSES:
        return Target(goal.target, goal.task, [])
    classes = values.drop_nulls().unique().sort().to_list()
    if values.dtype.is_float():
        classes = [int(label) for label in classes]
    if task_of(goal.task).HAS_EVENT:
        classes.sort(key=lambda label: bool(label == goal.positive))
    return Target(goal.target, goal.task, classes)


def encode_target(target: Target, values: pl.Series) -> Floats:
    """Targets `(N,)` as float64: the value, or the number of the class; NaN where missing or of no known class."""
    if not target.kind.HAS_CLASSES:
        return values.cast(pl.Float64).to_numpy().copy()
    numbers = {label: float(number) for number, label in enumerate(target.classes)}
    encoded = values.replace_strict(
        list(numbers), list(numbers.values()), default=None, return_dtype=pl.Float64
    )
    return encoded.fill_null(np.nan).to_numpy().copy()
