"""A time as points on circles, one for each cycle, which suits linear models.

On a circle December is near January:

              sin
               |   Mar
        Jun    |
       --------+--------- Jan   cos
               |        Dec
         Sep   |

A missing time is the centre (0, 0), with a flag where training rows had missing times.
"""

import numpy as np

from headrace.arrays import Floats
from headrace.features.graph.graph import Graph
from headrace.features.states.calendar import (
    CYCLE_DAYS,
    Span,
    day_numbers,
    fit,
    lookup,
    merge,
    table,
)

_CYCLES = ("year", "month", "week", "day")


def _list_cycles(state: Span) -> list[str]:
    """List the cycles of a column in the order of its names."""
    cycles = state.cycles()
    return [cycle for cycle in _CYCLES if cycle in cycles]


def names(column: str, state: Span) -> list[str]:
    """`COLUMN_week_sin`, `COLUMN_week_cos` and so on; `COLUMN_missing` last."""
    columns = []
    for cycle in _list_cycles(state):
        columns += [f"{column}_{cycle}_sin", f"{column}_{cycle}_cos"]
    if columns and state.missing:
        columns.append(f"{column}_missing")
    return columns


def angles() -> dict[str, Floats]:
    """Compute the angle (radians) at each point of each cycle.

    Returns the angles `(146097,)` of each day of 400 years in the year, month and week, and the
    angles `(1440,)` of each minute in the day.
    """
    numbers = day_numbers()
    turns = {
        "year": (numbers["day_of_year"] - 1) / 366,
        "month": (numbers["day"] - 1) / 31,
        "week": numbers["weekday"] / 7,
        "day": np.arange(1440) / 1440,
    }
    return {cycle: 2 * np.pi * turn for cycle, turn in turns.items()}


def nodes(graph: Graph, source: str, columns: list[int], states: list[Span], width: int) -> str:
    """Look up sine and cosine, replace them by 0 where the time is missing, and add flags.

    The look-up gives each column the waves of all cycles in use, and the flags come last. From
    these the columns that are wanted are selected, in the order of `names`:

        column 0                  column 1                  flags
        year_sin year_cos …       year_sin year_cos …       0  1
    """
    # "day" is the last of `_CYCLES`, as the entries of minutes are the last of the look-up.
    used = [cycle for cycle in _CYCLES if any(cycle in _list_cycles(state) for state in states)]
    angle = angles()

    def waves_of(cycles: list[str]) -> list[Floats]:
        waves = []
        for cycle in cycles:
            waves += [np.sin(angle[cycle]), np.cos(angle[cycle])]
        return waves

    days = table(waves_of([cycle for cycle in used if cycle != "day"]), CYCLE_DAYS)
    minutes = table(waves_of([cycle for cycle in used if cycle == "day"]), 1440)
    times = graph.select_columns(source, columns, width)
    entries, absent = lookup(graph, times, len(columns), days, minutes)

    flags = graph.node("Cast", absent, to=1)
    per_column = 2 * len(used)
    repeated = _repeat_flags(graph, absent, per_column, len(columns))
    zero = graph.constant(0.0, np.float32)
    zeroed = graph.node("Where", repeated, zero, entries)
    joined = graph.node("Concat", zeroed, flags, axis=1)

    waves = len(columns) * per_column
    positions: list[int] = []
    for position, state in enumerate(states):
        cycles = _list_cycles(state)
        for cycle in cycles:
            sine = position * per_column + 2 * used.index(cycle)
            positions += [sine, sine + 1]
        if state.missing and cycles:
            positions.append(waves + position)
    return graph.select_columns(joined, positions, waves + len(columns))


def _repeat_flags(graph: Graph, absent: str, per_column: int, columns: int) -> str:
    """Repeat the flag of each column over its entries."""
    repeated = np.repeat(np.arange(columns), per_column)
    return graph.node("Gather", absent, graph.constant(repeated, np.int64), axis=1)


__all__ = ["fit", "merge", "names", "nodes"]
