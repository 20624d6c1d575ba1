"""Whether the order of the rows says something: neighbours with like targets are rows of one time, place or person."""

import numpy as np
import polars as pl

from headrace.arrays import Floats
from headrace.errors import Finding
from headrace.spec import Task, is_time_name, part_of
from headrace.tasks import task_of

_LEAST, _SURE = 0.1, 6.0
"""A finding needs this correlation of neighbours, and so many standard errors beyond chance. In tables without an
order the correlation was at most 0.04, in those in the order of time 0.14 to 0.9 (README.md of this room)."""
_RUNS_OF_A_CLASS = 3
_SORTED = 0.99


def order_checks(frame: pl.DataFrame, y: Floats, task: Task, by: str | None) -> list[Finding]:
    """Findings on rows in the order of their file, for a split that takes no heed of it.

    Parameters: `frame (N rows)`, all columns; `y (N,)`, class numbers or values; `by`, how the rows
    were divided.
    """
    if by not in ("random", "stratified"):
        return []
    return _neighbours(y, task) + _time_like(frame)


def _neighbours(y: Floats, task: Task) -> list[Finding]:
    if len(y) < 100 or _is_sorted(y, task):
        return []
    likeness = _likeness(y, task)
    if likeness < _LEAST or likeness * np.sqrt(len(y)) < _SURE:
        return []
    chance = float(2 / np.sqrt(len(y)))
    message = (
        f"neighbours in the file have like targets (correlation {likeness:.2f}, by chance at most {chance:.2f}): if "
        f"the rows are in the order of time, a model that is judged on rows between those that it learned from looks "
        f"better than it will be; state data.time, or split.by: time, which without it takes the order of the file"
    )
    return [
        Finding(
            "split.order", [], "warning", message, {"correlation": likeness, "by_chance": chance}
        )
    ]


def _likeness(y: Floats, task: Task) -> float:
    """How much more alike neighbours are than any two rows: 0 for not at all, 1 for the same."""
    if not task_of(task).HAS_CLASSES:
        ranks = y.argsort().argsort().astype(np.float64)
        return float(np.corrcoef(ranks[:-1], ranks[1:])[0, 1])
    shares = np.bincount(y.astype(np.int64)) / len(y)
    by_chance = float(np.square(shares).sum())
    return (float((y[:-1] == y[1:]).mean()) - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0


def _is_sorted(y: Floats, task: Task) -> bool:
    """Whether the rows stand in the order of the target itself: then it says nothing of time."""
    if not task_of(task).HAS_CLASSES:
        steps = np.diff(y)
        return bool(max((steps >= 0).mean(), (steps <= 0).mean()) > _SORTED)
    runs = 1 + int((y[:-1] != y[1:]).sum())
    return runs <= _RUNS_OF_A_CLASS * len(np.unique(y))


def _time_like(frame: pl.DataFrame) -> list[Finding]:
    """Columns of times, or of the years of some, that the split does not follow."""
    dated = [
        column.name
        for column in frame
        if column.dtype in (pl.Date, pl.Datetime) and is_time_name(column.name)
    ]
    years = [column.name for column in frame if part_of(column) == "year"]
    names = dated + years
    if not names:
        return []
    shown = ", ".join(map(repr, names[:5]))
    message = f"{shown} may say when a row was, and the split does not follow it: data.time would judge on the future"
    return [Finding("split.time_like", names, "info", message, {"columns": names})]
