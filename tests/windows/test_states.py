"""Partial states merge in any order and grouping to that of all events; a missing one is none."""

import math
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.windows.aggregates import NUMBER_STATES
from headrace.windows.states import MERGE, MERGES, add, largest, smallest

numbers = st.one_of(st.just(math.nan), st.integers(-(2**50), 2**50).map(float))
times_of = st.lists(st.tuples(st.integers(-100, 100), st.integers(0, 2**50)), max_size=8)


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@given(st.lists(numbers, max_size=8))
def test_extremes_are_those_of_the_numbers_that_are_there(drawn: list[float]) -> None:
    known = [one for one in drawn if not math.isnan(one)]
    assert same(reduce(smallest, drawn, math.nan), min(known, default=math.nan))
    assert same(reduce(largest, drawn, math.nan), max(known, default=math.nan))


@given(st.lists(st.integers(-(2**50), 2**50), max_size=8))
def test_sums_of_whole_numbers_lose_nothing(drawn: list[int]) -> None:
    assert reduce(add, map(float, drawn), 0.0) == sum(drawn)


@pytest.mark.parametrize("merge", MERGES)
@given(one=numbers, other=numbers, third=numbers)
def test_grouping_and_order_make_no_difference(
    merge: Any, one: float, other: float, third: float
) -> None:
    join = MERGE[merge]
    assert same(join(one, other), join(other, one))
    assert same(join(join(one, other), third), join(one, join(other, third)))


@pytest.mark.parametrize("kind", sorted(NUMBER_STATES))
@given(events=times_of)
def test_a_state_of_many_events_is_each_of_them_merged(
    kind: str, events: list[tuple[int, int]]
) -> None:
    state = NUMBER_STATES[kind]
    values = np.array([value for value, _ in events], np.float64)
    times = np.array([time for _, time in events], np.int64)
    alone = [state.one(float(value), time) for value, time in events]
    assert state.many(values, times).tolist() == alone
    merge = MERGE[state.merge]
    assert same(
        reduce(merge, alone, state.identity),
        reduce(merge, reversed(alone), state.identity),
    )


@pytest.mark.parametrize("kind", sorted(NUMBER_STATES))
@given(value=st.integers(-100, 100), time=st.integers(0, 2**50))
def test_no_event_changes_nothing(kind: str, value: int, time: int) -> None:
    state = NUMBER_STATES[kind]
    one = state.one(float(value), time)
    assert MERGE[state.merge](one, state.identity) == one
    assert MERGE[state.merge](state.identity, one) == one
