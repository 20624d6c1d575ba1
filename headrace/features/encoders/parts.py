"""A time as month, day, weekday, hour and minute, missing as NaN: what trees want."""

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
_MINUTE_PARTS = {"hour": "day", "minute_of_day": "day"}


def _parts(state: Span) -> list[str]:
    cycles = state.cycles()
    return [part for part, cycle in (_DAY_PARTS | _MINUTE_PARTS).items() if cycle in cycles]


def names(column: str, state: Span) -> list[str]:
    """`COLUMN_weekday` and so on, for every cycle that the training rows went through twice."""
    return [f"{column}_{part}" for part in _parts(state)]


def nodes(graph: Graph, source: str, columns: list[int], states: list[Span], width: int) -> str:
    """Look-ups of the parts that any column needs, cut to those that each has."""
    used = {part for state in states for part in _parts(state)}
    day_parts = [part for part in _DAY_PARTS if part in used]
    minute_parts = [part for part in _MINUTE_PARTS if part in used]
    numbers = day_numbers()
    minutes = np.arange(1440)
    minute_numbers = {"hour": minutes // 60, "minute_of_day": minutes}
    day_table = table([numbers[part] for part in day_parts], CYCLE_DAYS)
    minute_table = table([minute_numbers[part] for part in minute_parts], 1440)
    times = graph.columns(source, columns, width)
    entries, absent = lookup(graph, times, len(columns), day_table, minute_table)
    order = [*day_parts, *minute_parts]
    wanted = [(at, order.index(part)) for at, state in enumerate(states) for part in _parts(state)]
    picked = graph.columns(
        entries, [at * len(order) + part for at, part in wanted], len(columns) * len(order)
    )
    missing = graph.node(
        "Gather", absent, graph.constant([at for at, _ in wanted], np.int64), axis=1
    )
    return graph.node("Where", missing, graph.constant(np.nan, np.float32), picked)


__all__ = ["fit", "merge", "names", "nodes"]
