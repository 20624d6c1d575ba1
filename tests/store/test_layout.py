"""A layout keeps the states that its windows are finished from, as far back as one reaches."""

import math
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.spec import AGGREGATES as ROWS
from headrace.spec import EventTable, Window, parse_duration_us
from headrace.store.layout import Layout, Level, build_layout
from headrace.tables import Column
from headrace.windows import find_hop_us
from headrace.windows.aggregates import AGGREGATES, NUMBER_STATES

DAY_US = 86_400 * 10**6
TABLES = {name: EventTable(source="", time="at", id="id") for name in ("e", "f")}
COLUMNS = [
    Column(name="at", dtype="datetime", kind="datetime"),
    Column(name="id", dtype="integer", kind="ignored"),
    Column(name="user", dtype="string", kind="categorical"),
    Column(name="shop", dtype="integer", kind="categorical"),
    Column(name="x", dtype="number", kind="numeric"),
    Column(name="spare", dtype="number", kind="numeric"),
]
ROW_TYPES = {"user": pl.String(), "shop": pl.Int64(), "x": pl.Float64()}
OVERS = ["5min", "1h", "3d", "90d", "all"]


@st.composite
def windows_of(draw: st.DrawFn) -> list[Window]:
    windows = []
    for at in range(draw(st.integers(1, 5))):
        aggregate = draw(st.sampled_from(sorted(ROWS)))
        fields: dict[str, Any] = {
            "name": f"w{at}",
            "events": draw(st.sampled_from(["e", "f"])),
            "key": draw(st.sampled_from(["user", ["user", "shop"]])),
            "aggregate": aggregate,
            "over": draw(st.lists(st.sampled_from(OVERS), min_size=1, unique=True)),
            "hop": draw(st.sampled_from([None, "0s", "7min"])),
        }
        if ROWS[aggregate].of != "events":
            fields["of"] = "x"
        if ROWS[aggregate].needs_where or draw(st.booleans()):
            fields["where"] = "shop == 1"
        windows.append(Window(**fields))
    return windows


def layout_of(windows: list[Window]) -> Layout:
    columns = dict.fromkeys(TABLES, COLUMNS)
    return build_layout(windows, TABLES, ROW_TYPES, columns, {("e", "x"): 5.0})


@given(windows_of())
def test_every_column_is_read_from_the_states_of_its_aggregate(windows: list[Window]) -> None:
    layout = layout_of(windows)
    for window in windows:
        (group,) = [
            one
            for one in layout.groups
            if one.events == window.events
            and one.keys == ([window.key] if isinstance(window.key, str) else window.key)
        ]
        for over in window.over:
            (read,) = [one for one in group.reads if one.name == f"{window.name}_{over}"]
            level, states = group.levels[read.level], AGGREGATES[window.aggregate]
            asked = states.states(window.of, window.where)
            found = [level.states[at] for at in read.states]
            told = [(one.kind, one.of, one.where) for one in found]
            assert told == [(one.kind, one.of, one.where) for one in asked]
            assert [one.origin for one in found] == [
                5.0
                if one.kind in NUMBER_STATES
                and NUMBER_STATES[one.kind].from_origin
                and window.events == "e"
                else 0.0
                for one in asked
            ]
            if over == "all":
                assert (read.over, level.most, level.hop) == (None, None, 30 * DAY_US)
            else:
                assert read.over == parse_duration_us(over)
                assert level.most is not None
                assert level.most >= read.over
                assert level.hop == (find_hop_us(window, over) or 1)


@given(windows_of())
def test_nothing_is_kept_twice_or_for_nobody(windows: list[Window]) -> None:
    layout = layout_of(windows)
    assert len(layout.columns) == sum(len(window.over) for window in windows)
    assert set(layout.sources) == {window.events for window in windows}
    for group in layout.groups:
        shapes = [(level.hop, level.most is None) for level in group.levels]
        assert len(set(shapes)) == len(shapes)
        for at, level in enumerate(group.levels):
            used = {state for read in group.reads if read.level == at for state in read.states}
            assert used == set(range(len(level.states)))
            merges = [NUMBER_STATES[state.kind].merge for state in level.numbers]
            assert merges == sorted(merges, key=["add", "largest", "smallest"].index)
    assert {name for one in layout.sources.values() for name in one.values} <= {"user", "shop", "x"}
    assert "spare" not in {column.name for one in layout.sources.values() for column in one.columns}


@given(windows_of())
def test_a_layout_is_the_same_read_from_its_json(windows: list[Window]) -> None:
    layout = layout_of(windows)
    assert msgspec.json.decode(msgspec.json.encode(layout), type=Layout) == layout


@given(windows_of())
def test_a_source_is_kept_as_far_back_as_a_tile_of_its_windows_begins(
    windows: list[Window],
) -> None:
    for name, source in layout_of(windows).sources.items():
        some = [(one, over) for one in windows if one.events == name for over in one.over]
        if any(over == "all" for _, over in some):
            assert source.most is None
            continue
        reach = [parse_duration_us(over) + (find_hop_us(one, over) or 1) for one, over in some]
        assert source.most is not None
        assert source.most >= max(reach) - 1


@given(
    hop=st.integers(1, 9),
    overs=st.lists(st.integers(1, 30), min_size=1),
    moment=st.integers(-50, 50),
    later=st.integers(0, 20),
)
def test_no_later_row_reads_a_tile_before_the_first_one(
    hop: int, overs: list[int], moment: int, later: int
) -> None:
    level = Level(hop, max(overs), [], [], [])
    reads = [
        math.floor((moment + more - over) / hop) * hop for over in overs for more in (0, later)
    ]
    assert level.least_start(moment) == min(reads)
    assert Level(hop, None, [], [], []).least_start(moment) is None


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("x", "the key 'x': a column of Float64; expected text, whole numbers, times or true"),
        ("usr", "no column 'usr' in the rows; expected one of: user, shop, x; did you mean"),
    ],
)
def test_a_key_that_cannot_be_one_is_told(key: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        layout_of([Window(name="w", events="e", key=key, over=["1h"])])
    assert words in str(error.value)
