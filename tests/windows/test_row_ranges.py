"""What rows see of events that cover runs of them, beside a loop over rows and events."""

from bisect import bisect_left

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.windows.row_ranges import NO_EVENT, RowRanges, RowTimes

Event = tuple[int, int, int]
"""The first row, the last one (left out), and a value."""


@st.composite
def runs_of(draw: st.DrawFn) -> tuple[int, list[Event]]:
    rows = draw(st.integers(1, 20))
    events = []
    for _ in range(draw(st.integers(0, 12))):
        first, last = sorted(draw(st.tuples(st.integers(0, rows), st.integers(0, rows))))
        events.append((first, last, draw(st.integers(-3, 3))))
    return rows, events


def ranges_of(rows: int, events: list[Event]) -> RowRanges:
    first, last = ([one[at] for one in events] for at in (0, 1))
    return RowRanges(
        np.arange(len(events)), np.array(first, np.int64), np.array(last, np.int64), rows
    )


def seen_by(rows: int, events: list[Event]) -> list[list[int]]:
    """The values that each row sees."""
    return [[value for first, last, value in events if first <= row < last] for row in range(rows)]


@given(runs_of())
def test_counts_sums_extremes_and_different_values_are_those_of_a_loop(
    drawn: tuple[int, list[Event]],
) -> None:
    rows, events = drawn
    ranges, seen = ranges_of(rows, events), seen_by(rows, events)
    values = np.array([value for *_, value in events], np.int64)
    assert ranges.count().tolist() == [len(one) for one in seen]
    assert ranges.sum(values.astype(np.float64)).tolist() == [sum(one) for one in seen]
    assert ranges.max(values).tolist() == [max(one, default=NO_EVENT) for one in seen]
    assert ranges.distinct(values).tolist() == [len(set(one)) for one in seen]


@given(drawn=runs_of(), kept=st.lists(st.booleans(), min_size=12, max_size=12))
def test_some_of_the_events_are_seen_as_if_there_were_no_others(
    drawn: tuple[int, list[Event]], kept: list[bool]
) -> None:
    rows, events = drawn
    found = ranges_of(rows, events).select(np.array(kept[: len(events)], bool))
    left = [one for one, keep in zip(events, kept, strict=False) if keep]
    assert found.count().tolist() == [len(one) for one in seen_by(rows, left)]
    assert found.events.tolist() == [at for at, keep in enumerate(kept[: len(events)]) if keep]


def test_a_small_sum_beside_a_huge_one_keeps_its_digits() -> None:
    """Each row sums its own events alone, so that nothing large is ever taken off again."""
    events = [(0, 4, 0), (4, 9, 0), (5, 9, 0)]
    found = ranges_of(9, events).sum(np.array([1e300, 0.1, 0.2]))
    assert found[:4].tolist() == [1e300] * 4
    assert found[4:].tolist() == [0.1, 0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2]


def any_row(times: list[list[int]]) -> bool:
    return any(map(len, times))


@st.composite
def keyed_times(draw: st.DrawFn) -> list[list[int]]:
    """The times of the rows of each key, ascending; one key at least has rows."""
    some = st.lists(st.integers(-5, 5), max_size=9).map(sorted)
    return draw(st.lists(some, min_size=1, max_size=4).filter(any_row))


@given(
    times=keyed_times(),
    asked=st.lists(st.tuples(st.integers(0, 3), st.integers(-7, 7), st.integers(0, 9)), max_size=8),
    is_later=st.booleans(),
)
def test_the_first_row_at_a_moment_is_the_one_that_bisection_finds(
    times: list[list[int]], asked: list[tuple[int, int, int]], is_later: bool
) -> None:
    starts = np.cumsum([0, *map(len, times)])
    rows = RowTimes(np.array([time for some in times for time in some], np.int64), starts)
    asked = [(code % len(times), moment, skip) for code, moment, skip in asked]
    skips = [min(skip, len(times[code])) if is_later else 0 for code, _, skip in asked]
    codes, moments = (np.array([one[at] for one in asked], np.int64) for at in (0, 1))
    after = starts[codes] + np.array(skips, np.int64) if is_later else None
    found = rows.first_at(codes, moments, after)
    expected = [
        starts[code] + bisect_left(times[code], moment, lo=skip)
        for (code, moment, _), skip in zip(asked, skips, strict=True)
    ]
    assert found.tolist() == expected
    known = [
        times[code][place - starts[code]] if place < starts[code + 1] else 99
        for (code, *_), place in zip(asked, expected, strict=True)
    ]
    assert rows.time_at(found, codes, 99).tolist() == known


def test_the_rows_that_are_asked_keep_what_they_were_asked_after() -> None:
    rows = RowTimes(np.array([1, 2, 3]), np.array([0, 3]))
    after = np.array([1])
    assert rows.first_at(np.array([0]), np.array([3]), after).tolist() == [2]
    assert after.tolist() == [1]


def test_no_moment_is_answered_by_no_place() -> None:
    rows, nothing = RowTimes(np.array([1, 2]), np.array([0, 2])), np.empty(0, np.int64)
    assert rows.first_at(nothing, nothing).tolist() == []
    assert rows.time_at(nothing, nothing, 99).tolist() == []
