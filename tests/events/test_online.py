"""The online store against the definition, in streams that are late, repeated, corrected, deleted and interrupted."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.events.fill import fill
from millrace.events.layout import Layout, layout_of
from millrace.events.log import Log
from millrace.events.online import Online
from millrace.events.read import Reader
from millrace.events.store import open_store
from millrace.spec import EventTable
from millrace.tables import Column, dtype_of
from tests.events.brute import Version, aggregate, default_hop, in_window
from tests.events.test_windows import AGGREGATES, events_table, minutes, same, users, versions_of, window

TABLE = EventTable(source="", time="at", id="id", available="loaded", deleted="gone")
MINUTE = 60 * 10**6
OVERS = [None, 1, 30, 90, 1500, 30000]


def columns_of(frame: pl.DataFrame) -> list[Column]:
    return [Column(name=name, dtype=dtype_of(dtype), kind="ignored") for name, dtype in frame.schema.items()]


def layout(table: EventTable, over: int | None, hop: int | None) -> Layout:
    windows = [window(name, over, hop) for name in AGGREGATES]
    rows = {"user": pl.String()}
    return layout_of(windows, {"e": table}, rows, {"e": columns_of(events_table([]))})


def told(versions: list[Version]) -> list[dict[str, Any]]:
    return [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        for row in events_table(versions).to_dicts()
    ]


def check(
    reader: Reader, versions: list[Version], moments: list[tuple[str | None, int]], over: int | None, hop: int | None
) -> None:
    size = max((abs(one.value) for one in versions if one.value is not None), default=0.0)
    span = "all" if over is None else f"{over}min"
    for user, now in moments:
        found = reader.row({"user": user}, now * MINUTE)
        seen = in_window(versions, user, now, over, default_hop(over) if hop is None else hop)
        for name in AGGREGATES:
            expected = aggregate(name, seen, now)
            assert same(found[f"{name}_{span}"], expected, size), (name, user, now, found[f"{name}_{span}"], expected)


@settings(max_examples=200)
@given(
    history=versions_of,
    pushes=st.lists(st.tuples(versions_of.map(lambda some: some[:6]), st.integers(0, 1500), st.booleans()), max_size=5),
    later=st.lists(st.tuples(users, st.integers(0, 4000)), min_size=1, max_size=6),
    over=st.sampled_from(OVERS),
    hop=st.sampled_from([None, 0, 7, 60]),
    until=minutes,
)
def test_a_row_sees_online_what_a_loop_over_versions_finds(
    history: list[Version],
    pushes: list[tuple[list[Version], int, bool]],
    later: list[tuple[str | None, int]],
    over: int | None,
    hop: int | None,
    until: int,
) -> None:
    asked = layout(TABLE, over, hop)
    with TemporaryDirectory() as folder:
        path, log = Path(folder), Log(Path(folder) / "log", segment=20)
        with closing(open_store(None, path / "online", "test")) as store:
            now = until
            fill(store, log, asked, {"e": (events_table(history), TABLE)}, 0, "once", now * MINUTE)
            versions, online, reader = list(history), Online(store, log), Reader(store)
            check(reader, versions, [(user, now + more) for user, more in later], over, hop)
            for some, pause, restarts in pushes:
                now += pause
                online.push("e", told(some), now * MINUTE)
                versions += some
                if restarts:
                    log = Log(path / "log", segment=20)
                    online = Online(store, log)
                check(reader, versions, [(user, now + more) for user, more in later], over, hop)
