"""Extremes, quotients and the latest event of what rows see, beside a loop over all events."""

import math
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from headrace.spec import EventTable
from headrace.windows.history import build_history
from headrace.windows.row_ranges import NO_EVENT, RowRanges
from headrace.windows.visible import VisibleEvents, blank_empty, divide, find_extreme

numbers = st.floats(allow_nan=False, allow_infinity=True)
Event = tuple[int, int, int, float]
"""The first row, how many, the time and the number."""
events_of = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 3), numbers), max_size=8
)
ROWS = 6


def visible_of(events: list[Event]) -> VisibleEvents:
    frame = pl.DataFrame(
        {
            "at": pl.Series([time for _, _, time, _ in events], dtype=pl.Datetime("us")),
            "x": pl.Series([value for *_, value in events], dtype=pl.Float64),
        }
    )
    first = np.array([one[0] for one in events], np.int64)
    last = np.array([min(one[0] + one[1], ROWS) for one in events], np.int64)
    ranges = RowRanges(np.arange(len(events)), first, last, ROWS)
    history = build_history(frame, EventTable(source="", time="at"), "e")
    holds = np.ones(len(events), bool)
    return VisibleEvents(ranges, history, "x", holds, np.arange(ROWS), {})


def seen_by(events: list[Event], row: int) -> list[tuple[int, int, float]]:
    """The time, the number and the value of the events that a row sees."""
    return [
        (time, at, value)
        for at, (first, count, time, value) in enumerate(events)
        if first <= row < first + count
    ]


@given(events_of)
def test_extremes_keep_every_bit_of_the_number(events: list[Event]) -> None:
    visible = visible_of(events)
    for sign, choose in ((1, max), (-1, min)):
        found = find_extreme(visible, sign).to_list()
        for row in range(ROWS):
            values: list[Any] = [value for *_, value in seen_by(events, row)]
            assert found[row] == (choose(values) if values else None)


def test_extremes_of_negative_numbers_zeros_and_the_ends_of_their_range() -> None:
    values = [-math.inf, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.5, math.inf]
    visible = visible_of([(0, ROWS, 0, value) for value in values])
    assert find_extreme(visible, 1).to_list() == [math.inf] * ROWS
    assert find_extreme(visible, -1).to_list() == [-math.inf] * ROWS
    inner = visible_of([(0, ROWS, 0, value) for value in values[1:3]])
    assert find_extreme(inner, 1).to_list() == [-5e-324] * ROWS
    assert find_extreme(inner, -1).to_list() == [-1.5] * ROWS


@given(events_of)
def test_the_latest_event_is_the_last_of_the_latest_time(events: list[Event]) -> None:
    visible = visible_of(events)
    order = visible.history.order
    for row, rank in enumerate(visible.latest.tolist()):
        seen = [(time, at) for time, at, _ in seen_by(events, row)]
        assert (None if rank == NO_EVENT else order[rank]) == (max(seen)[1] if seen else None)
    assert visible.latest is visible.memo["latest"]  # found once


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 5)), min_size=1, max_size=8))
def test_a_quotient_is_missing_where_nothing_is_divided(drawn: list[tuple[float, int]]) -> None:
    above, below = np.array([one for one, _ in drawn]), np.array([one for _, one in drawn])
    expected = [one / other if other else None for one, other in drawn]
    assert divide(above, below).to_list() == expected


def test_values_are_missing_where_nothing_is_seen() -> None:
    seen = np.array([True, False, True])
    assert blank_empty(np.array([1.5, 2.5, 3.5]), seen).to_list() == [1.5, None, 3.5]
    assert blank_empty(pl.Series(["a", "b", "c"]), seen).to_list() == ["a", None, "c"]
