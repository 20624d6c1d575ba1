"""What every aggregate promises: offline, online, merged in any order, and a plain loop give the
same.
"""

import itertools
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.spec import AGGREGATES as ROWS
from headrace.spec import EventTable, Window
from headrace.store.accumulator import Accumulator
from headrace.store.layout import Layout, build_layout
from headrace.store.tiles import EntityEvents, build_tiles
from headrace.tables import Column
from headrace.windows import add_windows, hyperloglog
from headrace.windows.aggregates import AGGREGATES
from headrace.windows.states import MERGE, NumberState
from tests.windows.brute import Version, aggregate

EPOCH = datetime(1970, 1, 1)
COLUMNS = [
    Column(name="at", dtype="datetime", kind="datetime"),
    Column(name="user", dtype="string", kind="categorical"),
    Column(name="value", dtype="number", kind="numeric"),
    Column(name="word", dtype="string", kind="categorical"),
]
TABLE = EventTable(source="", time="at")
Events = list[tuple[int, float | None, str | None]]
events = st.lists(
    st.tuples(
        st.integers(0, 500),
        st.one_of(
            st.none(), st.floats(-1e6, 1e6, allow_subnormal=False), st.sampled_from([0.0, 1.0, 1e6])
        ),
        st.sampled_from(["a", "b", "c", None]),
    ),
    max_size=25,
).map(lambda drawn: sorted(drawn, key=lambda one: one[0]))


def window_of(name: str) -> Window:
    of = None if ROWS[name].of == "events" else "word" if ROWS[name].of == "values" else "value"
    where = "word == 'a'" if ROWS[name].needs_where else None
    return Window(
        name=name, events="e", key="user", aggregate=name, of=of, where=where, over=["all"]
    )


def layout_of(name: str) -> Layout:
    rows = {"user": pl.String(), "at": pl.Datetime("us")}
    return build_layout(
        [window_of(name)], {"e": TABLE}, rows, {"e": COLUMNS}, {("e", "value"): 10.0}
    )


def table_of(drawn: Events) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "at": pl.Series(
                [EPOCH + timedelta(seconds=time) for time, _, _ in drawn], dtype=pl.Datetime("us")
            ),
            "user": pl.Series(["u"] * len(drawn), dtype=pl.String),
            "value": pl.Series([value for _, value, _ in drawn], dtype=pl.Float64),
            "word": pl.Series([word for _, _, word in drawn], dtype=pl.String),
        }
    )


def by_loop(name: str, drawn: Events, now: int) -> Any:
    versions = [
        Version(at, time, time, "u", value, word) for at, (time, value, word) in enumerate(drawn)
    ]
    found = aggregate(name, versions, now)
    return found / 60 if name == "since" and found is not None else found  # the loop counts minutes


def offline(name: str, drawn: Events, now: int) -> Any:
    rows = pl.DataFrame({"user": ["u"], "at": [EPOCH + timedelta(seconds=now)]})
    found = add_windows(rows, [window_of(name)], {"e": table_of(drawn)}, "at", {"e": TABLE})
    return found[f"{name}_all"][0]


def accumulated(name: str, drawn: Events) -> tuple[Accumulator, list[Any]]:
    layout = layout_of(name)
    source = layout.sources["e"]
    accumulator = Accumulator(layout.groups[0].levels[0], source)
    states = accumulator.empty()
    for at, (time, value, word) in enumerate(drawn):
        row = {"user": "u", "value": value, "word": word}
        accumulator.add(states, time * 10**6, at, [row[column] for column in source.values])
    return accumulator, states


def finished(name: str, states: list[Any], now: int) -> Any:
    read = layout_of(name).groups[0].reads[0]
    picked = [as_finished(states[at]) for at in read.states]
    return AGGREGATES[name].finish(picked[0] if len(picked) == 1 else tuple(picked), now * 10**6)


def as_finished(state: Any) -> Any:
    """A set of hashes as the list of sketches that a window is finished from."""
    return (
        [hyperloglog.from_hashes(np.array(sorted(state), np.uint64))]
        if isinstance(state, set)
        else state
    )


def merged(name: str, parts: list[list[Any]]) -> list[Any]:
    """The states of several parts as one, by the same functions as the store."""
    kinds = layout_of(name).groups[0].levels[0].states
    whole = parts[0]
    for part in parts[1:]:
        whole = [
            merge_two(kind.kind, one, other)
            for kind, one, other in zip(kinds, whole, part, strict=True)
        ]
    return whole


def merge_two(kind: str, one: Any, other: Any) -> Any:
    if kind == "last":
        return max(
            (state for state in (one, other) if state is not None),
            default=None,
            key=lambda state: state[:2],
        )
    if kind == "distinct":
        return one | other
    number: NumberState = next(
        state
        for module in AGGREGATES.values()
        for name, state in module.NUMBER_STATES.items()
        if name == kind
    )
    return MERGE[number.merge](one, other)


def is_same(name: str, found: Any, expected: Any, drawn: Events) -> bool:
    """Whether two values differ by rounding alone; a deviation loses more, as `std.py` says."""
    if not isinstance(expected, float):
        return bool(found == expected)
    size = max((abs(value) for _, value, _ in drawn if value is not None), default=0.0)
    share = 1e-6 if name == "std" else 1e-12
    return found is not None and math.isclose(
        found, expected, rel_tol=1e-9, abs_tol=share * max(size, 1e-3)
    )


@pytest.mark.parametrize("name", list(ROWS))
@given(drawn=events)
def test_offline_online_and_a_loop_agree(name: str, drawn: Events) -> None:
    now = 501
    expected = by_loop(name, drawn, now)
    _, states = accumulated(name, drawn)
    assert is_same(name, offline(name, drawn, now), expected, drawn)
    assert is_same(name, finished(name, states, now), expected, drawn)


@pytest.mark.parametrize("name", list(ROWS))
@given(drawn=events, cuts=st.lists(st.integers(0, 25), max_size=3))
def test_parts_merge_in_any_order(name: str, drawn: Events, cuts: list[int]) -> None:
    places = sorted({0, *(min(cut, len(drawn)) for cut in cuts), len(drawn)})
    numbered = list(enumerate(drawn))
    parts = [numbered[low:high] for low, high in itertools.pairwise(places)] or [numbered]
    expected = by_loop(name, drawn, 501)
    for order in itertools.islice(itertools.permutations(parts), 6):
        states = [list(accumulated_at(name, part)) for part in order]
        assert is_same(name, finished(name, merged(name, states), 501), expected, drawn)


def accumulated_at(
    name: str, numbered: list[tuple[int, tuple[int, float | None, str | None]]]
) -> Iterator[Any]:
    """The states of events at their places among all."""
    layout = layout_of(name)
    source = layout.sources["e"]
    accumulator = Accumulator(layout.groups[0].levels[0], source)
    states = accumulator.empty()
    for at, (time, value, word) in numbered:
        row = {"user": "u", "value": value, "word": word}
        accumulator.add(states, time * 10**6, at, [row[column] for column in source.values])
    yield from states


@pytest.mark.parametrize("name", list(ROWS))
@given(drawn=events.filter(bool))
def test_tiles_of_a_whole_table_hold_what_one_event_after_the_other_adds(
    name: str, drawn: Events
) -> None:
    layout = layout_of(name)
    level, source = layout.groups[0].levels[0], layout.sources["e"]
    frame = table_of(drawn)
    values = frame.select(source.values)
    times = np.array([time for time, _, _ in drawn]) * 10**6
    tiles = build_tiles(
        level,
        EntityEvents(np.zeros(len(drawn), np.int64), times, pl.Series(range(len(drawn))), values),
    )
    _, states = accumulated(name, drawn)
    assert len(tiles.start) == 1
    for row, state in zip(tiles.numbers, states[: len(level.numbers)], strict=True):
        assert math.isclose(row[0], state, rel_tol=1e-12, abs_tol=1e-3) or (
            math.isnan(row[0]) and math.isnan(state)
        )


@pytest.mark.parametrize("name", list(ROWS))
def test_a_row_that_sees_nothing_has_the_empty_value(name: str) -> None:
    accumulator, _ = accumulated(name, [])
    assert finished(name, accumulator.empty(), 501) == AGGREGATES[name].EMPTY
    assert offline(name, [], 501) == AGGREGATES[name].EMPTY
