"""What one event adds to the states of a tile.

`tiles.py` does the same for a table of events at once, when a store is filled.
"""

from collections.abc import Callable
from typing import Any

from headrace.store.layout import EventSource, Level
from headrace.windows import Condition, hyperloglog, parse_condition
from headrace.windows.aggregates import NUMBER_STATES
from headrace.windows.states import MERGE, State

States = list[Any]
"""In the order of `Level.states`: numbers, NaN where an extreme or a time is of nothing; the last as
`(time, place, value)` or none; the different values as a set of hashes."""


class Accumulator:
    """Counts events into the states of one level.

    >>> from headrace.windows import State
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
        wheres = list(
            dict.fromkeys(state.where for state in level.states if state.where is not None)
        )
        self._wheres: list[Condition] = [
            parse_condition(where, "", source.plain) for where in wheres
        ]
        self._columns = source.values
        self._steps = [
            (
                at,
                _adder(state),
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
    return NUMBER_STATES[kind].identity if kind in NUMBER_STATES else _EMPTY[kind]


def later(state: Any, other: Any) -> Any:
    """The later of two last values."""
    return other if state is None or (other is not None and other > state) else state


def _adder(state: State) -> Callable[[Any, Any, int, Any], Any]:
    """What an event adds to a state: a function of the state, and of the value, the time and the sequence."""
    if state.kind == "last":
        return lambda state, value, time, sequence: later(state, (time, sequence, value))
    if state.kind == "distinct":
        return _add_hash
    number, origin = NUMBER_STATES[state.kind], state.origin
    merge, one = MERGE[number.merge], number.one
    if state.of is None or not number.from_origin:
        return lambda state, value, time, sequence: merge(state, one(value, time))
    return lambda state, value, time, sequence: merge(state, one(value - origin, time))


def _add_hash(state: Any, value: Any, time: int, sequence: Any) -> Any:
    state.add(hyperloglog.hash_value(value))
    return state


_EMPTY: dict[str, Any] = {"last": None, "distinct": set()}
