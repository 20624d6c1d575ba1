"""Partial states of aggregates: the states of some events and of others merge into one of all.

A window's value is computed from merged states, and never merged itself. Two means do not add up;
their sums and counts do:

    tile          events       sum    count    mean
    10:00         2, 4           6        2       3
    10:05         9              9        1       9
    merged        2, 4, 9       15        3       5      not 6, the mean of the means
"""

import math
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from headrace.arrays import Floats, Integers

Merge = Literal["add", "largest", "smallest"]
"""The ways in which two states of a kind become one."""
MERGES: tuple[Merge, ...] = ("add", "largest", "smallest")


class State(Struct, frozen=True, omit_defaults=True):
    """A description of one partial state: which events it is of, and what it says of them.

    It is of the events for which `where` holds, and that have a value in the column `of`; where
    one is not set, it leaves no event out. `kind` is the name of a `NumberState`, or `last` (the
    latest value) or `distinct` (a sketch of the different values). If the kind asks for it, values
    are counted from `origin`.
    """

    kind: str
    of: str | None = None
    where: str | None = None
    origin: float = 0.0


class NumberState(Struct, frozen=True):
    """A kind of state that is one number.

    Parameters: `merge`, how two states are merged; `one(value, time)`, the state of one event;
    `many(values (N,), times (N,))`, the states of many events, one each. With `from_origin` values
    are counted from about their mean, which keeps the digits of squares.

    >>> NumberState("add", lambda value, time: value, lambda values, times: values).identity
    0.0
    """

    merge: Merge
    one: Callable[[float, int], float]
    many: Callable[[Floats, Integers], Floats]
    from_origin: bool = False

    @property
    def identity(self) -> float:
        """The state of no event."""
        return 0.0 if self.merge == "add" else math.nan


def add(state: float, other: float) -> float:
    """Add two states."""
    return state + other


def smallest(state: float, other: float) -> float:
    """Return the smaller of two states; NaN is the state of no event."""
    return other if math.isnan(state) or other < state else state


def largest(state: float, other: float) -> float:
    """Return the larger of two states; NaN is the state of no event."""
    return other if math.isnan(state) or other > state else state


MERGE: dict[Merge, Callable[[Any, Any], Any]] = {
    "add": add,
    "largest": largest,
    "smallest": smallest,
}
