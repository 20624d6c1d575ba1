"""Rows and events dealt out by key: each event meets the rows of its key, and no row gets lost."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.spec import EventTable
from headrace.windows import partition
from headrace.windows.history import build_history

Key = tuple[str | None, int]
keys = st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2))
rows_of = st.lists(st.tuples(keys, st.integers(0, 5)), min_size=1, max_size=12)
events_of = st.lists(st.tuples(keys, st.booleans()), max_size=20)


def names(some: list[Key]) -> dict[str, pl.Series]:
    return {
        "user": pl.Series([user for user, _ in some], dtype=pl.String),
        "shop": pl.Series([shop for _, shop in some], dtype=pl.Int64),
    }


@given(rows=rows_of, events=events_of, most=st.sampled_from([1, 3, 1000]))
def test_an_event_is_dealt_to_the_part_with_all_rows_of_its_key(
    rows: list[tuple[Key, int]], events: list[tuple[Key, bool]], most: int
) -> None:
    at = [datetime(1970, 1, 1) + timedelta(seconds=one) for one in range(len(events))]
    table = EventTable(source="", time="at", deleted="gone")
    frame = pl.DataFrame(
        {
            **names([key for key, _ in events]),
            "at": pl.Series(at, dtype=pl.Datetime("us")),
            "gone": pl.Series([gone for _, gone in events], dtype=pl.Boolean),
        }
    )
    times = np.array([time for _, time in rows], np.int64)
    named, history = pl.DataFrame(names([key for key, _ in rows])), build_history(frame, table, "e")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(partition, "PARTITION_EVENTS", most)
        dealt = partition.partition_by_key(named, times, history)
    order = np.argsort(dealt.places)  # which row, as it was given, stands at each place
    offset, met = 0, {}
    for part in dealt.parts:
        count = len(part.rows.times)
        here = order[offset : offset + count]
        assert part.rows.times.tolist() == times[here].tolist()
        for event, code in zip(part.events.tolist(), part.codes.tolist(), strict=True):
            first, last = part.rows.starts[code : code + 2].tolist()
            met[event] = here[first:last].tolist()
            assert part.rows.times[first:last].tolist() == sorted(part.rows.times[first:last])
        offset += count
    assert sorted(dealt.places.tolist()) == list(range(len(rows)))
    assert offset == len(rows)
    known = {key for key, _ in rows if key[0] is not None}
    expected = {
        event: [at for at, (key, _) in enumerate(rows) if key == own]
        for event, (own, gone) in enumerate(events)
        if own in known and not gone
    }
    assert {event: sorted(some) for event, some in met.items()} == expected


def test_events_of_other_types_meet_the_rows_whose_key_they_spell() -> None:
    rows = pl.DataFrame({"user": ["1", "2"]})
    events = pl.DataFrame({"user": [2, 2, 3], "at": [datetime(2020, 1, 1)] * 3})
    history = build_history(events, EventTable(source="", time="at"), "e")
    (part,) = partition.partition_by_key(rows, np.array([0, 0]), history).parts
    assert part.events.tolist() == [0, 1]
    assert len(set(part.codes.tolist())) == 1
