"""Partial states: what is known of some events, in a form that merges with what is known of others.

A window's value is finished from states, never merged itself: two means do not add up, their sums
and counts do.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from headrace.arrays import Floats, Integers

Merge = Literal["add", "largest", "smallest"]
"""How two states of a kind become one."""
MERGES: tuple[Merge, ...] = ("add", "largest", "smallest")


class State(Struct, frozen=True, omit_defaults=True):
    """A state of the events for which `where` holds and, where it is set, that have a value in the
    column `of`.

    `kind` is that of a `NumberState`, or `last` (the latest value) or `distinct` (a sketch of the
    different values). Values are counted from `origin`, where the kind asks for one.
    """

    kind: str
    of: str | None = None
    where: str | None = None
    origin: float = 0.0


class NumberState(Struct, frozen=True):
    """A kind of state that is one number.

    Parameters: `merge`, how two are merged; `one(value, time)`, the state of one event, and
    `many(values (N,), times (N,))`, those of many; `from_origin`: values are counted from about
    their mean, which keeps the digits of squares.
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
    """The sum of two."""
    return state + other


def smallest(state: float, other: float) -> float:
    """The smaller of two; NaN is none."""
    return other if math.isnan(state) or other < state else state


def largest(state: float, other: float) -> float:
    """The larger of two; NaN is none."""
    return other if math.isnan(state) or other > state else state


MERGE: dict[Merge, Callable[[Any, Any], Any]] = {
    "add": add,
    "largest": largest,
    "smallest": smallest,
}
