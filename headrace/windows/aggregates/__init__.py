"""The aggregates of windows, one file each; `spec.AGGREGATES` has a row of the same name for each.

Each file is a module with the names of `AggregateKind`. The suite in
`tests/contracts/test_aggregates.py` checks that all of them give the same value offline, online,
merged in any order, and by a plain loop.
"""

from importlib import import_module
from typing import Any, Protocol, cast

import polars as pl

from headrace.spec import AGGREGATES as ROWS
from headrace.windows.states import NumberState, State
from headrace.windows.visible import VisibleEvents


class AggregateKind(Protocol):
    """The names that the module of an aggregate has."""

    NUMBER_STATES: dict[str, NumberState]
    """The kinds of states that it defines; it may use those of other aggregates too."""
    EMPTY: Any
    """Its value in a row that sees no event."""

    def states(self, of: str | None, where: str | None) -> list[State]:
        """List the states that it is computed from."""
        ...

    def finish(self, states: Any, moment: int) -> Any:
        """Compute its value at a moment (microseconds since 1970 UTC) from the merged states.

        `states` is the one state itself, or a tuple of several.
        """
        ...

    def offline(self, visible: VisibleEvents) -> pl.Series:
        """Compute its value in each row `(N,)`, in the order of the rows."""
        ...


# A new aggregate is a row in the spec and a file here: nothing else names it.
AGGREGATES: dict[str, AggregateKind] = {
    name: cast(AggregateKind, import_module(f"{__name__}.{name}")) for name in ROWS
}
ROUNDING = 1e-9
"""The share by which two sums may differ whose terms are in another order."""


def _collect_states() -> dict[str, NumberState]:
    """Collect the kinds of states that all aggregates define."""
    kinds: dict[str, NumberState] = {}
    for aggregate in AGGREGATES.values():
        kinds |= aggregate.NUMBER_STATES
    return kinds


NUMBER_STATES = _collect_states()


def find_tolerance(aggregate: str) -> float:
    """Return the share by which an aggregate may differ between two orders of its events.

    It is `ROUNDING`, or the `TOLERANCE` of a module that loses more than that.
    """
    return float(getattr(AGGREGATES[aggregate], "TOLERANCE", ROUNDING))
