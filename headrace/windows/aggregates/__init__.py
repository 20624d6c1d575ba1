"""The aggregates of windows, one file each. `spec.AGGREGATES` has a row for each, by the name of
its file.

Every one is a module with what `AggregateKind` says. The suite in
`tests/contracts/test_aggregates.py` holds all of them to one meaning: offline, online, merged in
any order, and a plain loop give the same.
"""

from importlib import import_module
from typing import Any, Protocol, cast

import polars as pl

from headrace.spec import AGGREGATES as ROWS
from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents


class AggregateKind(Protocol):
    """What an aggregate says of itself."""

    NUMBER_STATES: dict[str, NumberState]
    """The kinds of states that it brings; it may use those of others."""
    EMPTY: Any
    """Its value for a row that sees no event."""

    def states(self, of: str | None, where: str | None) -> list[State]:
        """The states that it is finished from."""
        ...

    def finish(self, states: Any, moment: int) -> Any:
        """Its value at a moment (microseconds since 1970 UTC), of the values of its states: of one
        itself, of several a tuple.
        """
        ...

    def offline(self, visible: VisibleEvents) -> pl.Series:
        """Its value for each row, by place."""
        ...


AGGREGATES: dict[str, AggregateKind] = {
    name: cast(AggregateKind, import_module(f"{__name__}.{name}")) for name in ROWS
}
ROUNDING = 1e-9
"""The share by which sums in different orders may differ."""
NUMBER_STATES: dict[str, NumberState] = {
    kind: state
    for aggregate in AGGREGATES.values()
    for kind, state in aggregate.NUMBER_STATES.items()
}


def tolerance(aggregate: str) -> float:
    """Returns the share by which an aggregate may differ between two orders of its events.

    A module with `TOLERANCE` says that it loses more than rounding.
    """
    return float(getattr(AGGREGATES[aggregate], "TOLERANCE", ROUNDING))
