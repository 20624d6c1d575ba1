"""A time as points on circles, one for each cycle, so that December is near January: what linear
models want.

Missing is the circle's centre (0, 0), with a flag where training rows had missing times.
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


def _has(state: Span) -> list[str]:
    cycles = state.cycles()
    return [cycle for cycle in _CYCLES if cycle in cycles]


def names(column: str, state: Span) -> list[str]:
    """`COLUMN_week_sin`, `COLUMN_week_cos` and so on; `COLUMN_missing` last."""
    circles = [f"{column}_{cycle}_{wave}" for cycle in _has(state) for wave in ("sin", "cos")]
    return [*circles, f"{column}_missing"] if circles and state.missing else circles


def angles() -> dict[str, Floats]:
    """The angle of each day of 400 years in the year, month and week, and of each minute in the day (radians)."""
    numbers = day_numbers()
    turns = {
        "year": (numbers["day_of_year"] - 1) / 366,
        "month": (numbers["day"] - 1) / 31,
        "week": numbers["weekday"] / 7,
        "day": np.arange(1440) / 1440,
    }
    return {cycle: 2 * np.pi * turn for cycle, turn in turns.items()}


def nodes(graph: Graph, source: str, columns: list[int], states: list[Span], width: int) -> str:
    """Sine and cosine from tables, zero where the time is missing."""
    used = [cycle for cycle in _CYCLES if any(cycle in _has(state) for state in states)]
    angle = angles()

    def waves_of(cycles: list[str]) -> list[Floats]:
        return [wave(angle[cycle]) for cycle in cycles for wave in (np.sin, np.cos)]

    by_day = [cycle for cycle in used if cycle != "day"]
    by_minute = [cycle for cycle in used if cycle == "day"]
    days, minutes = table(waves_of(by_day), CYCLE_DAYS), table(waves_of(by_minute), 1440)
    entries, absent = lookup(
        graph, graph.columns(source, columns, width), len(columns), days, minutes
    )
    per_column, waves = 2 * len(used), len(columns) * 2 * len(used)
    flat: list[int] = []
    for at, state in enumerate(states):
        for cycle in _has(state):
            flat += [
                at * per_column + 2 * used.index(cycle),
                at * per_column + 2 * used.index(cycle) + 1,
            ]
        if state.missing and _has(state):
            flat.append(waves + at)
    flags = graph.node("Cast", absent, to=1)
    zeroed = graph.node(
        "Where",
        _spread(graph, absent, per_column, len(columns)),
        graph.constant(0.0, np.float32),
        entries,
    )
    return graph.columns(graph.node("Concat", zeroed, flags, axis=1), flat, waves + len(columns))


def _spread(graph: Graph, absent: str, per_column: int, columns: int) -> str:
    """Each column's flag repeated over its entries."""
    repeated = [at for at in range(columns) for _ in range(per_column)]
    return graph.node("Gather", absent, graph.constant(repeated, np.int64), axis=1)


__all__ = ["fit", "merge", "names", "nodes"]
