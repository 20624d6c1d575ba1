"""Offline windows against the definition, in streams with late, repeated, corrected and deleted
events.
"""

from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.spec import AGGREGATES, EventTable, Window
from headrace.windows import add_windows, partition
from tests.windows.brute import Version, aggregate, default_hop, in_window

EPOCH = datetime(1970, 1, 1)
WORDS = ("last", "distinct")
OF = {
    name: "word" if name in WORDS else "value"
    for name, row in AGGREGATES.items()
    if row.of != "events"
}
users = st.sampled_from(["a", "b", "c", None])
minutes = st.integers(-3000, 3000)
Moments = list[tuple[str | None, int]]
rows_of = st.lists(st.tuples(users, minutes), min_size=1, max_size=25)
versions_of = st.lists(
    st.builds(
        Version,
        id=st.integers(0, 12),
        time=minutes,
        available=st.one_of(minutes, st.just(0)),
        user=users,
        value=st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0])),
        word=st.sampled_from(["a", "b", "c", None]),
        deleted=st.sampled_from([False, False, False, True]),
    ),
    min_size=1,
    max_size=40,
)


def at(minute: int) -> datetime:
    return EPOCH + timedelta(minutes=minute)


def rows_table(rows: Moments) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user": pl.Series([user for user, _ in rows], dtype=pl.String),
            "at": [at(now) for _, now in rows],
        }
    )


def events_table(versions: list[Version]) -> pl.DataFrame:
    columns = {
        "id": pl.Series([one.id for one in versions], dtype=pl.Int64),
        "at": pl.Series([at(one.time) for one in versions], dtype=pl.Datetime("us")),
        "loaded": pl.Series([at(one.available) for one in versions], dtype=pl.Datetime("us")),
        "user": pl.Series([one.user for one in versions], dtype=pl.String),
        "value": pl.Series([one.value for one in versions], dtype=pl.Float64),
        "word": pl.Series([one.word for one in versions], dtype=pl.String),
        "gone": pl.Series([one.deleted for one in versions], dtype=pl.Boolean),
    }
    return pl.DataFrame(columns)


def window(name: str, over: int | None, hop: int | None, **more: Any) -> Window:
    span = "all" if over is None else f"{over}min"
    where = "word == 'a'" if name == "rate" else None
    given = {
        "name": name,
        "events": "e",
        "key": "user",
        "aggregate": name,
        "of": OF.get(name),
        "where": where,
    }
    return Window(**(given | {"over": [span], "hop": None if hop is None else f"{hop}min"} | more))


def column(windows: list[Window], rows: Moments, versions: list[Version], table: EventTable) -> Any:
    found = add_windows(
        rows_table(rows), windows, {"e": events_table(versions)}, "at", {"e": table}
    )
    return {window.name: found[f"{window.name}_{window.over[0]}"].to_list() for window in windows}


def scale_of(name: str, size: float) -> float:
    """A thousand times the size for deviations: below 3e-7 of the distance from the origin they are
    0, as `std.py` says.
    """
    return 1e3 * size if name == "std" else size


def same(found: Any, expected: Any, size: float) -> bool:
    if isinstance(expected, float):
        return found is not None and abs(found - expected) <= 1e-9 * max(
            abs(expected), size, 1e-300
        )
    return bool(found == expected)


@settings(max_examples=200)
@given(
    rows=rows_of,
    versions=versions_of,
    over=st.sampled_from([None, 1, 30, 90, 1500, 30000]),
    hop=st.sampled_from([None, 0, 7, 60]),
    part=st.sampled_from([1, 7, 1000]),
)
def test_every_aggregate_is_what_a_loop_over_versions_finds(
    rows: Moments, versions: list[Version], over: int | None, hop: int | None, part: int
) -> None:
    table = EventTable(source="", time="at", id="id", available="loaded", deleted="gone")
    with mock.patch.object(partition, "PARTITION_EVENTS", part):
        found = column([window(name, over, hop) for name in AGGREGATES], rows, versions, table)
    size = max((abs(one.value) for one in versions if one.value is not None), default=0.0)
    for place, (user, now) in enumerate(rows):
        seen = in_window(versions, user, now, over, default_hop(over) if hop is None else hop)
        for name in AGGREGATES:
            expected = aggregate(name, seen, now)
            assert same(found[name][place], expected, scale_of(name, size)), (
                name,
                user,
                now,
                found[name][place],
                expected,
            )


@given(
    rows=rows_of,
    versions=versions_of,
    delay=st.sampled_from([0, 10, 600]),
    over=st.sampled_from([None, 90, 1500]),
)
def test_without_ids_every_row_is_an_event_known_after_the_delay(
    rows: Moments, versions: list[Version], delay: int, over: int | None
) -> None:
    plain = [
        one._replace(id=place, available=one.time + delay, deleted=False)
        for place, one in enumerate(versions)
    ]
    table = EventTable(source="", time="at", delay=f"{delay}min")
    found = column([window(name, over, 0) for name in AGGREGATES], rows, plain, table)
    for place, (user, now) in enumerate(rows):
        seen = in_window(plain, user, now, over, 0)
        for name in AGGREGATES:
            expected = aggregate(name, seen, now)
            assert same(found[name][place], expected, scale_of(name, 1e6)), name


@given(rows=rows_of, versions=versions_of)
def test_only_events_for_which_the_condition_holds(rows: Moments, versions: list[Version]) -> None:
    table = EventTable(source="", time="at", id="id", available="loaded", deleted="gone")
    asked = window("sum", None, 0, where="word in ['a', 'b'] and not value < 0")
    found = column([asked], rows, versions, table)["sum"]
    for place, (user, now) in enumerate(rows):
        seen = [
            one
            for one in in_window(versions, user, now, None, 0)
            if one.word in ("a", "b") and not (one.value is not None and one.value < 0)
        ]
        assert same(found[place], aggregate("sum", seen, now), 1e6)


def test_several_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(1)
    rows = pl.DataFrame(
        {"a": chance.integers(0, 3, 50), "b": chance.choice(["x", "y"], 50), "at": [at(5000)] * 50}
    )
    events = pl.DataFrame(
        {
            "b": chance.choice(["x", "y"], 400),
            "a": chance.integers(0, 3, 400).astype(str),
            "at": [at(10)] * 400,
        }
    )
    asked = Window(name="w", events="e", key=["a", "b"], over=["all"])
    found = add_windows(rows, [asked], {"e": events}, "at", {"e": EventTable(source="", time="at")})
    for a, b, count in found.select("a", "b", "w_all").rows():
        assert count == events.filter(a=str(a), b=b).height


def test_no_digit_is_lost_beside_large_values() -> None:
    """A small sum after a huge one: differences of running totals would lose it."""
    versions = [
        Version(place, place, place, "a", 1e15 if place < 50 else 0.1, None) for place in range(100)
    ]
    found = column([window("sum", 10, 0)], [("a", 90)], versions, EventTable(source="", time="at"))
    assert found["sum"] == [pytest.approx(1.0, rel=1e-12)]


def test_the_example_of_the_readme() -> None:
    versions = [
        Version(place, 9 * 60 + minute, 0, "u", None, None)
        for place, minute in enumerate([58, 62, 90])
    ]
    rows: Moments = [("u", 10 * 60 + 30), ("u", 10 * 60 + 29)]

    def counts(hop: int | None) -> list[int]:
        found: list[int] = column(
            [window("count", 30, hop)], rows, versions, EventTable(source="", time="at")
        )["count"]
        return found

    assert (counts(0), counts(5), counts(None), counts(60)) == ([1, 1], [1, 2], [1, 2], [1, 2])


BAD: list[tuple[dict[str, Any], dict[str, Any], str | None, str]] = [
    ({"events": "click"}, {}, "at", "no events 'click'"),
    ({"key": "usr"}, {}, "at", "no column 'usr' in the rows"),
    ({}, {}, None, "data.time is not set"),
    ({}, {}, "user", "not a column of times"),
    ({"name": "taken"}, {}, "at", "already has a column 'taken_7d'"),
    ({"aggregate": "sum"}, {}, "at", "no `of` with aggregate sum"),
    ({"of": "value"}, {}, "at", "of 'value' with aggregate count"),
    ({"aggregate": "sum", "of": "word"}, {}, "at", "sum of 'word', which holds String"),
    ({"aggregate": "last", "of": "wrd"}, {}, "at", "did you mean 'word'"),
    ({"aggregate": "rate"}, {}, "at", "a rate without `where`"),
    ({"where": "word = 'a'"}, {}, "at", "cannot be read"),
    ({"where": "wrd == 'a'"}, {}, "at", "did you mean 'word'"),
    ({"where": "word == 1"}, {}, "at", "'word' holds text, but is compared with 1"),
    ({"where": "len(word) > 1"}, {}, "at", "on the left"),
    ({"where": "word == value"}, {}, "at", "expected comparisons of a column with a value"),
    ({"where": "__import__('os').system('x')"}, {}, "at", "expected comparisons"),
    ({}, {"id": "ident"}, "at", "data.events.e.id: no column 'ident'"),
    ({}, {"available": "value"}, "at", "data.events.e.available: 'value' is not a column of times"),
    ({}, {"available": "loaded", "delay": "1h"}, "at", "1h beside available"),
    ({}, {"deleted": "word"}, "at", "'word' holds String; expected true or false"),
]


@pytest.mark.parametrize(("change", "table", "time", "words"), BAD)
def test_a_window_that_cannot_be(
    change: dict[str, Any], table: dict[str, Any], time: str | None, words: str
) -> None:
    rows = rows_table([("u", 1)]).with_columns(taken_7d=1)
    events = {"e": events_table([Version(1, 0, 0, "u", 1.0, "a")])}
    asked = Window(**({"name": "w", "events": "e", "key": "user"} | change))
    with pytest.raises(InputError) as error:
        add_windows(
            rows, [asked], events, time, {"e": EventTable(**({"source": "", "time": "at"} | table))}
        )
    assert words in str(error.value)
