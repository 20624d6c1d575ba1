"""Checks whether the order of the rows means something.

Neighbours in a file that have like targets are often rows of one time, one place or one person. A
random split then puts neighbours on both sides, and the model looks better than it is:

    rows in the order of time     0 0 0 1 1 1 1 0 0 ...
    a random split                t t v t t v t t v      v is easy: both its neighbours are in t
"""

import numpy as np
import polars as pl

from headrace.arrays import Floats
from headrace.errors import Finding
from headrace.spec import Task, is_time_name, part_of
from headrace.tasks import find_task

_LEAST_CORRELATION = 0.1
"""In tables without an order neighbours correlated by at most 0.04, in those in the order of time
by 0.14 to 0.9 (README.md of this room)."""
_STANDARD_ERRORS = 6.0
"""The correlation must also be so many standard errors beyond chance."""
_RUNS_OF_A_CLASS = 3
_SORTED = 0.99


def check_order(frame: pl.DataFrame, y: Floats, task: Task, by: str | None) -> list[Finding]:
    """Check rows in the order of their file, for a split that does not follow time.

    Parameters: `frame` (N rows), all columns; `y (N,)`, class numbers or values; `by`, how the rows
    were divided.
    """
    if by not in ("random", "stratified"):
        return []
    return _check_neighbours(y, task) + _find_times(frame)


def _check_neighbours(y: Floats, task: Task) -> list[Finding]:
    if len(y) < 100 or _is_sorted(y, task):
        return []
    correlation = _correlate_neighbours(y, task)
    if correlation < _LEAST_CORRELATION or correlation * np.sqrt(len(y)) < _STANDARD_ERRORS:
        return []
    chance = float(2 / np.sqrt(len(y)))
    message = (
        f"neighbouring rows in the file have similar targets (correlation {correlation:.2f}, by "
        f"chance at most {chance:.2f}): if the rows are in order of time, a model that is tested "
        f"on rows between its training rows looks better than it is; state data.time, or "
        f"split.by: time alone, which then follows the order of the file"
    )
    evidence = {"correlation": correlation, "by_chance": chance}
    return [Finding("split.order", [], "warning", message, evidence)]


def _correlate_neighbours(y: Floats, task: Task) -> float:
    """Return how much more alike neighbours are than any two rows, from 0 (not at all) to 1.

    Of values it is the correlation of their ranks; of classes the share of equal neighbours above
    the share by chance.
    """
    if not find_task(task).HAS_CLASSES:
        ranks = y.argsort().argsort().astype(np.float64)
        return float(np.corrcoef(ranks[:-1], ranks[1:])[0, 1])
    shares = np.bincount(y.astype(np.int64)) / len(y)
    by_chance = float(np.square(shares).sum())
    if by_chance >= 1:
        return 0.0
    return (float((y[:-1] == y[1:]).mean()) - by_chance) / (1 - by_chance)


def _is_sorted(y: Floats, task: Task) -> bool:
    """Say whether the rows are in the order of the target itself: then the order is not of time."""
    if not find_task(task).HAS_CLASSES:
        steps = np.diff(y)
        return bool(max((steps >= 0).mean(), (steps <= 0).mean()) > _SORTED)
    runs = 1 + int((y[:-1] != y[1:]).sum())
    return runs <= _RUNS_OF_A_CLASS * len(np.unique(y))


def _find_times(frame: pl.DataFrame) -> list[Finding]:
    """Find columns of times, or of years, that the split does not follow."""
    dated = []
    years = []
    for column in frame:
        if column.dtype in (pl.Date, pl.Datetime) and is_time_name(column.name):
            dated.append(column.name)
        if part_of(column) == "year":
            years.append(column.name)
    names = dated + years
    if not names:
        return []
    shown = ", ".join(map(repr, names[:5]))
    message = (
        f"{shown} may hold the time of each row, but the split does not follow it: "
        f"with data.time the model would be tested on the latest rows"
    )
    return [Finding("split.time_like", names, "info", message, {"columns": names})]
