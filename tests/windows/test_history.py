"""From when rows see a version of an event, and until when, beside a loop over all versions."""

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.spec import EventTable
from headrace.windows.history import (
    NEVER,
    History,
    build_history,
    convert_times,
    read_available_times,
)

TABLE = EventTable(source="", time="at", id="id", available="loaded", deleted="gone")


class Told(NamedTuple):
    """A row of a table of events; seconds."""

    id: int
    time: int
    available: int
    gone: bool | None


versions_of = st.lists(
    st.builds(
        Told,
        id=st.integers(0, 3),
        time=st.integers(-5, 5),
        available=st.integers(-5, 9),
        gone=st.sampled_from([None, False, True]),
    ),
    max_size=12,
)


def frame_of(told: list[Told]) -> pl.DataFrame:
    def moments(seconds: list[int]) -> pl.Series:
        at = [datetime(1970, 1, 1) + timedelta(seconds=one) for one in seconds]
        return pl.Series(at, dtype=pl.Datetime("us"))

    return pl.DataFrame(
        {
            "id": pl.Series([one.id for one in told], dtype=pl.Int64),
            "at": moments([one.time for one in told]),
            "loaded": moments([one.available for one in told]),
            "gone": pl.Series([one.gone for one in told], dtype=pl.Boolean),
        }
    )


def visible(found: History, moment: int) -> list[int]:
    """The living versions that a row sees at a moment."""
    held = (found.visible_from <= moment) & (moment < found.replaced) & found.alive
    return np.flatnonzero(held).tolist()


@given(told=versions_of, now=st.integers(-6, 10))
def test_a_row_sees_of_each_event_the_last_version_that_was_known(
    told: list[Told], now: int
) -> None:
    expected = []
    for id in {one.id for one in told}:
        known = [(one.available, at) for at, one in enumerate(told) if one.id == id]
        known = [one for one in known if one[0] <= now]
        if known and not told[at := max(known)[1]].gone and told[at].time < now:
            expected.append(at)
    found = build_history(frame_of(told), TABLE, "e")
    assert visible(found, now * 10**6) == sorted(expected)


@given(told=versions_of)
def test_events_are_ordered_by_time_then_id_then_row(told: list[Told]) -> None:
    found = build_history(frame_of(told), TABLE, "e")
    expected = sorted(range(len(told)), key=lambda at: (told[at].time, told[at].id, at))
    assert found.order.tolist() == expected
    assert found.order[found.ranks].tolist() == list(range(len(told)))


@given(told=versions_of, delay=st.integers(0, 4))
def test_without_ids_every_row_is_an_event_that_nothing_replaces(
    told: list[Told], delay: int
) -> None:
    table = EventTable(source="", time="at", delay=f"{delay}s")
    found = build_history(frame_of(told), table, "e")
    times = [one.time * 10**6 for one in told]
    assert found.available.tolist() == [one + delay * 10**6 for one in times]
    assert found.visible_from.tolist() == [one + max(delay * 10**6, 1) for one in times]
    assert found.replaced.tolist() == [NEVER] * len(told)
    assert found.order.tolist() == sorted(range(len(told)), key=lambda at: (times[at], at))


@given(told=versions_of.filter(bool), data=st.data())
def test_some_of_the_versions_are_what_they_were_among_all(
    told: list[Told], data: st.DataObject
) -> None:
    found = build_history(frame_of(told), TABLE, "e")
    some = np.array(data.draw(st.lists(st.integers(0, len(told) - 1))), np.int64)
    part = found.select(some, ["id"])
    assert part.frame["id"].to_list() == [told[at].id for at in some]
    for name in ("time", "available", "visible_from", "replaced", "sequences", "alive"):
        assert getattr(part, name).tolist() == getattr(found, name)[some].tolist()


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("id", [1, None], "e.id: row 2 has no 'id'; expected an id in every row"),
        ("at", [datetime(2020, 1, 1), None], "e.time: row 2 has no 'at'; expected a time in"),
        ("loaded", ["a", "b"], "e.available: 'loaded' is not a column of times"),
        ("gone", ["no", "yes"], "e.deleted: 'gone' holds String; expected true or false"),
    ],
)
def test_a_column_that_cannot_be_read_is_told_with_its_field(
    column: str, values: list[object], words: str
) -> None:
    frame = frame_of([Told(1, 0, 0, False)] * 2).with_columns(pl.Series(column, values))
    with pytest.raises(InputError) as error:
        build_history(frame, TABLE, "e")
    assert words in str(error.value)


def test_a_column_that_is_absent_and_two_ways_to_be_known_are_told() -> None:
    frame = frame_of([])
    with pytest.raises(InputError, match=r"e\.deleted: no column 'gon'.*did you mean 'gone'"):
        read_available_times(frame, EventTable(source="", time="at", deleted="gon"), "e")
    both = EventTable(source="", time="at", available="loaded", delay="1h")
    with pytest.raises(
        InputError, match=r"e\.delay: 1h beside available; expected only one of them"
    ):
        read_available_times(frame, both, "e")


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_of_every_unit_are_microseconds(unit: str) -> None:
    moments = pl.Series("at", [datetime(1969, 12, 31, 23, 59, 59, 999000), datetime(2262, 1, 1)])
    as_told = moments.cast(pl.Datetime(unit))  # type: ignore[arg-type]
    assert convert_times(as_told, "w").tolist() == [-1000, 9214646400000000]


def test_days_are_their_first_moments() -> None:
    day = pl.Series("at", [datetime(1970, 1, 3)]).cast(pl.Date)
    assert convert_times(day, "w").tolist() == [2 * 86_400 * 10**6]
