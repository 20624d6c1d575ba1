"""What one event adds to the states of a tile.

`tiles.py` does the same for a table of events at once, when a store is filled.
"""

import math
from collections.abc import Callable
from typing import Any

from headrace.store import hyperloglog
from headrace.store.layout import EventSource, Level
from headrace.windows import Condition, parse_condition

States = list[Any]
"""In the order of `Level.states`: numbers, NaN where an extreme or a time is of nothing; the last as
`(time, place, value)` or none; the different values as a set of hashes."""


class Accumulator:
    """Counts events into the states of one level.

    >>> from headrace.store.layout import State
    >>> from headrace.spec import EventTable
    >>> from headrace.tables import Column
    >>> column = Column(name="n", dtype="number", kind="numeric")
    >>> source = EventSource(EventTable(source="", time="at"), [column], ["n"], None)
    >>> level = Level(1, None, [State("count"), State("sum", "n", "n > 1")], [State("last", "n")], [])
    >>> accumulator = Accumulator(level, source)
    >>> states = accumulator.empty()
    >>> accumulator.add(states, 10, 0, [5.0]); accumulator.add(states, 20, 1, [0.5])
    >>> states
    [2.0, 5.0, (20, 1, 0.5)]
    """

    def __init__(self, level: Level, source: EventSource) -> None:
        wheres = list(dict.fromkeys(state.where for state in level.states if state.where is not None))
        self._wheres: list[Condition] = [parse_condition(where, "", source.plain) for where in wheres]
        self._columns = source.values
        self._steps = [
            (
                at,
                ADD[state.kind],
                None if state.of is None else source.values.index(state.of),
                None if state.where is None else wheres.index(state.where),
            )
            for at, state in enumerate(level.states)
        ]
        self._nothing = [empty_state(state.kind) for state in level.states]
        self._sets = [at for at, state in enumerate(self._nothing) if isinstance(state, set)]

    def empty(self) -> States:
        """The states of no event."""
        states = self._nothing.copy()
        for at in self._sets:
            states[at] = set()
        return states

    def add(self, states: States, time: int, place: int | str, values: list[Any]) -> None:
        """Adds an event to states."""
        held: list[bool] = []
        if self._wheres:
            row = dict(zip(self._columns, values, strict=True))
            held = [where.holds(row) for where in self._wheres]
        for at, add, of, where in self._steps:
            if where is None or held[where]:
                value = None if of is None else values[of]
                if of is None or value is not None:
                    states[at] = add(states[at], value, time, place)


def empty_state(kind: str) -> Any:
    """A state of no event."""
    return 0.0 if kind in ("count", "sum") else math.nan if kind in ("min", "max", "time") else _NONE.get(kind)


def smaller(state: float, other: float) -> float:
    """The smaller of two; NaN is none."""
    return other if math.isnan(state) or other < state else state


def larger(state: float, other: float) -> float:
    """The larger of two; NaN is none."""
    return other if math.isnan(state) or other > state else state


def later(state: Any, other: Any) -> Any:
    """The later of two last values."""
    return other if state is None or (other is not None and other > state) else state


def _with(state: Any, value: Any, time: int, place: Any) -> Any:
    state.add(hyperloglog.hash_value(value))
    return state


_NONE: dict[str, Any] = {"last": None, "distinct": set()}
ADD: dict[str, Callable[[Any, Any, int, Any], Any]] = {
    "count": lambda state, value, time, place: state + 1.0,
    "sum": lambda state, value, time, place: state + value,
    "min": lambda state, value, time, place: smaller(state, float(value)),
    "max": lambda state, value, time, place: larger(state, float(value)),
    "time": lambda state, value, time, place: larger(state, float(time)),
    "last": lambda state, value, time, place: later(state, (time, place, value)),
    "distinct": _with,
}
"""A state, and the value, the time and the place of an event that it counts."""
