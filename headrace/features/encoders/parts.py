"""A time as month, day, weekday, hour and minute, missing as NaN, which suits trees."""

import numpy as np

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

_DAY_PARTS = {"month": "year", "day_of_year": "year", "day": "month", "weekday": "week"}
"""Parts of the date, each with the cycle that it counts in."""
_MINUTE_PARTS = {"hour": "day", "minute_of_day": "day"}
"""Parts of the time of day, each with the cycle that it counts in."""


def _list_parts(state: Span) -> list[str]:
    """List the parts of a column: of the cycles that its training rows went through twice."""
    cycles = state.cycles()
    return [part for part, cycle in (_DAY_PARTS | _MINUTE_PARTS).items() if cycle in cycles]


def names(column: str, state: Span) -> list[str]:
    """`COLUMN_weekday` and so on, for every cycle that the training rows went through twice."""
    return [f"{column}_{part}" for part in _list_parts(state)]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Span], width: int) -> str:
    """Look up the parts that any column needs, and select those that each column has."""
    used = {part for state in states for part in _list_parts(state)}
    day_parts = [part for part in _DAY_PARTS if part in used]
    minute_parts = [part for part in _MINUTE_PARTS if part in used]

    numbers = day_numbers()
    minutes = np.arange(1440)
    minute_numbers = {"hour": minutes // 60, "minute_of_day": minutes}
    day_table = table([numbers[part] for part in day_parts], CYCLE_DAYS)
    minute_table = table([minute_numbers[part] for part in minute_parts], 1440)
    times = graph.select_columns(source, columns, width)
    entries, absent = lookup(graph, times, len(columns), day_table, minute_table)

    order = [*day_parts, *minute_parts]
    entry_positions = []
    time_positions = []
    for position, state in enumerate(states):
        for part in _list_parts(state):
            entry_positions.append(position * len(order) + order.index(part))
            time_positions.append(position)
    selected = graph.select_columns(entries, entry_positions, len(columns) * len(order))
    missing = graph.node("Gather", absent, graph.constant(time_positions, np.int64), axis=1)
    return graph.node("Where", missing, graph.constant(np.nan, np.float32), selected)


__all__ = ["fit", "merge", "names", "nodes"]
