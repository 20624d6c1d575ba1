"""Adds single events to the states of a tile.

`tiles.py` does the same for a table of events at once, when a store is filled.
"""

from collections.abc import Callable
from typing import Any

from headrace.store.layout import EventSource, Level
from headrace.windows import Condition, hyperloglog, parse_condition
from headrace.windows.aggregates import NUMBER_STATES
from headrace.windows.states import MERGE, State

States = list[Any]
"""The states of a tile, in the order of `Level.states`.

A number is NaN for an extreme or a time of no event; a last value is `(time, sequence, value)` or
none; different values are a set of hashes.
"""


class Accumulator:
    """Adds events to the states of one level.

    >>> from headrace.windows import State
    >>> from headrace.spec import EventTable
    >>> from headrace.tables import Column
    >>> column = Column(name="n", dtype="number", kind="numeric")
    >>> source = EventSource(EventTable(source="", time="at"), [column], ["n"], None)
    >>> numbers = [State("count"), State("sum", "n", "n > 1")]
    >>> level = Level(1, None, numbers, lasts=[State("last", "n")], sets=[])
    >>> accumulator = Accumulator(level, source)
    >>> states = accumulator.empty()
    >>> accumulator.add(states, 10, 0, [5.0])
    >>> accumulator.add(states, 20, 1, [0.5])
    >>> states
    [2.0, 5.0, (20, 1, 0.5)]
    """

    def __init__(self, level: Level, source: EventSource) -> None:
        # Windows often share a condition: each different one is evaluated once per event.
        wheres = [state.where for state in level.states if state.where is not None]
        wheres = list(dict.fromkeys(wheres))
        self._conditions: list[Condition] = []
        for where in wheres:
            self._conditions.append(parse_condition(where, "", source.plain))
        self._columns = source.values

        self._steps = []
        for at, state in enumerate(level.states):
            column = None if state.of is None else source.values.index(state.of)
            condition = None if state.where is None else wheres.index(state.where)
            self._steps.append((at, _make_adder(state), column, condition))

        self._empty = [empty_state(state.kind) for state in level.states]
        self._sets = [at for at, state in enumerate(self._empty) if isinstance(state, set)]

    def empty(self) -> States:
        """Return the states of no event."""
        states = self._empty.copy()
        # Sets are added to in place, so each tile needs sets of its own.
        for at in self._sets:
            states[at] = set()
        return states

    def add(self, states: States, time: int, sequence: int | str, values: list[Any]) -> None:
        """Add an event to states, in place.

        Parameters: the `time` of the event (microseconds), its `sequence` among events of that
        time, and the `values` of the source's columns.
        """
        holds: list[bool] = []
        if self._conditions:
            row = dict(zip(self._columns, values, strict=True))
            holds = [condition.holds(row) for condition in self._conditions]
        for at, add, column, condition in self._steps:
            if condition is None or holds[condition]:
                value = None if column is None else values[column]
                if column is None or value is not None:
                    states[at] = add(states[at], value, time, sequence)


def empty_state(kind: str) -> Any:
    """Return the state of no event."""
    return NUMBER_STATES[kind].identity if kind in NUMBER_STATES else _EMPTY[kind]


def pick_later(state: Any, other: Any) -> Any:
    """Return the later of two last values, either of which may be none."""
    return other if state is None or (other is not None and other > state) else state


def _make_adder(state: State) -> Callable[[Any, Any, int, Any], Any]:
    """Make a function of a state and of an event's value, time and sequence.

    It returns the state with the event. Each kind of state has a function of its own, so that
    adding an event does not look the kind up.
    """
    if state.kind == "last":
        return lambda state, value, time, sequence: pick_later(state, (time, sequence, value))
    if state.kind == "distinct":
        return _add_hash

    number = NUMBER_STATES[state.kind]
    origin = state.origin
    merge = MERGE[number.merge]
    one = number.one
    if state.of is None or not number.from_origin:
        return lambda state, value, time, sequence: merge(state, one(value, time))
    return lambda state, value, time, sequence: merge(state, one(value - origin, time))


def _add_hash(state: Any, value: Any, time: int, sequence: Any) -> Any:
    state.add(hyperloglog.hash_value(value))
    return state


_EMPTY: dict[str, Any] = {"last": None, "distinct": set()}
