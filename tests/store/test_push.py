"""The online store against the definition, in streams that are late, repeated, corrected, deleted
and interrupted.
"""

from contextlib import closing
from datetime import datetime
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from headrace.errors import InputError, WorkError
from headrace.log.log import Log
from headrace.spec import AGGREGATES, EventTable
from headrace.store.backends.memory import MemoryStore
from headrace.store.backfill import BackfillPlan, backfill
from headrace.store.layout import Layout, build_layout
from headrace.store.open import open_backend
from headrace.store.pusher import Pusher
from headrace.store.read import WindowReader
from headrace.store.store import Store
from headrace.tables import Column, dtype_of
from tests.windows.brute import Version, aggregate, default_hop, in_window
from tests.windows.test_join import (
    events_table,
    minutes,
    same,
    scale_of,
    users,
    versions_of,
    window,
)

TABLE = EventTable(source="", time="at", id="id", available="loaded", deleted="gone")
MINUTE = 60 * 10**6
OVERS = [None, 1, 30, 90, 1500, 30000]


def columns_of(frame: pl.DataFrame) -> list[Column]:
    return [
        Column(name=name, dtype=dtype_of(dtype), kind="ignored")
        for name, dtype in frame.schema.items()
    ]


def layout(table: EventTable, over: int | None, hop: int | None) -> Layout:
    windows = [window(name, over, hop) for name in AGGREGATES]
    rows = {"user": pl.String()}
    return build_layout(windows, {"e": table}, rows, {"e": columns_of(events_table([]))})


def told(versions: list[Version]) -> list[dict[str, Any]]:
    return [
        {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in events_table(versions).to_dicts()
    ]


def check(
    reader: WindowReader,
    versions: list[Version],
    moments: list[tuple[str | None, int]],
    over: int | None,
    hop: int | None,
) -> None:
    size = max((abs(one.value) for one in versions if one.value is not None), default=0.0)
    span = "all" if over is None else f"{over}min"
    for user, now in moments:
        found = reader.row({"user": user}, now * MINUTE)
        seen = in_window(versions, user, now, over, default_hop(over) if hop is None else hop)
        for name in AGGREGATES:
            expected = aggregate(name, seen, now)
            assert same(found[f"{name}_{span}"], expected, scale_of(name, size)), (
                name,
                user,
                now,
                found[f"{name}_{span}"],
                expected,
            )


def is_forgotten(late: Version, versions: list[Version], now: int, over: int | None) -> bool:
    """Whether the store may have expired a newer version, so that this older one counts.

    It forgets an event that no row can see any more; the README of the windows says so.
    """
    newer = [one for one in versions if one.id == late.id and one.available > late.available]
    return over is not None and any(one.time < now - over for one in newer)


@settings(max_examples=200)
@given(
    history=versions_of,
    pushes=st.lists(
        st.tuples(versions_of.map(lambda some: some[:6]), st.integers(0, 1500), st.booleans()),
        max_size=5,
    ),
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
        with closing(open_backend(None, path / "online", "test")) as store:
            now = until
            backfill(
                store,
                log,
                BackfillPlan(asked, {"e": (events_table(history), TABLE)}, 0, "once"),
                now * MINUTE,
            )
            versions, online, reader = list(history), Pusher(store, log), WindowReader(store)
            check(reader, versions, [(user, now + more) for user, more in later], over, hop)
            for some, pause, restarts in pushes:
                now += pause
                pushed = [one for one in some if not is_forgotten(one, versions, now, over)]
                if pushed:
                    online.push("e", told(pushed), now * MINUTE)
                versions += pushed
                if restarts:
                    log = Log(path / "log", segment=20)
                    online = Pusher(store, log)
                check(reader, versions, [(user, now + more) for user, more in later], over, hop)


def opened(
    folder: Path, asked: Layout, history: list[Version], table: EventTable, now: int
) -> tuple[Pusher, WindowReader]:
    store: Store = MemoryStore()
    log = Log(folder / "log")
    backfill(
        store,
        log,
        BackfillPlan(asked, {"e": (events_table(history), table)}, 0, "once"),
        now * MINUTE,
    )
    return Pusher(store, log), WindowReader(store)


def test_a_correction_that_is_still_to_come(tmp_path: Path) -> None:
    """The old version counts until then, also when its entity is touched in between."""
    versions = [Version(1, 10, 10, "a", 1.0, "a"), Version(1, 10, 500, "a", 7.0, "a")]
    online, reader = opened(tmp_path, layout(TABLE, None, None), versions, TABLE, 100)
    check(reader, versions, [("a", 100), ("a", 499), ("a", 500)], None, None)
    for now, id in ((200, 2), (600, 3)):
        more = Version(id, 20, 20, "a", 3.0, "a")
        online.push("e", told([more]), now * MINUTE)
        versions.append(more)
        check(reader, versions, [("a", now), ("a", max(now, 499)), ("a", 700)], None, None)


@given(
    history=versions_of,
    pushes=st.lists(
        st.tuples(versions_of.map(lambda some: some[:6]), st.integers(0, 1500)), max_size=4
    ),
    later=st.lists(st.tuples(users, st.integers(0, 4000)), min_size=1, max_size=4),
    delay=st.sampled_from([0, 10, 600]),
    over=st.sampled_from(OVERS),
    hop=st.sampled_from([None, 0, 60]),
)
def test_without_ids_a_push_is_known_from_its_moment_or_after_the_delay(
    history: list[Version],
    pushes: list[tuple[list[Version], int]],
    later: list[tuple[str | None, int]],
    delay: int,
    over: int | None,
    hop: int | None,
) -> None:
    table = EventTable(source="", time="at", delay=f"{delay}min")
    plain = [
        one._replace(id=at, available=one.time + delay, deleted=False)
        for at, one in enumerate(history)
    ]
    with TemporaryDirectory() as folder:
        now = max(one.available for one in plain)
        online, reader = opened(Path(folder), layout(table, over, hop), plain, table, now)
        for some, pause in pushes:
            now += pause + 1
            for one in some:
                known = max(now, one.time + delay)
                plain.append(one._replace(id=len(plain), available=known, deleted=False))
            online.push("e", told(some), now * MINUTE)
            check(reader, plain, [(user, now + more) for user, more in later], over, hop)


def test_what_history_told_is_not_counted_again(tmp_path: Path) -> None:
    """Without ids nothing else tells an event of the stream from the same one in history."""
    table = EventTable(source="", time="at", available="loaded")
    versions = [Version(0, 0, minute, "a", 1.0, "a") for minute in range(10)]
    asked = layout(table, None, None)
    asked = structs.replace(
        asked, sources={"e": structs.replace(asked.sources["e"], watermark=9 * MINUTE)}
    )
    online, reader = opened(tmp_path, asked, versions, table, 20)
    assert (
        online.push(
            "e", told([*versions[5:], Version(0, 5, 15, "a", 1.0, "a")]), 20 * MINUTE
        ).events
        == 6
    )
    assert reader.row({"user": "a"}, 30 * MINUTE)["count_all"] == 11


def test_many_different_values_are_estimated(tmp_path: Path) -> None:
    """Exact while a tile has up to 511 of them; then within five standard errors of a sketch (1.6 %
    each).
    """
    online, reader = opened(tmp_path, layout(TABLE, None, None), [], TABLE, 0)
    for many, bound in ((500, 0.0), (20_000, 0.08)):
        some = [Version(at, at % 7, 1, "a", None, f"word {at}") for at in range(many)]
        online.push("e", told(some), 10 * MINUTE)
        found = reader.row({"user": "a"}, 20 * MINUTE)["distinct_all"]
        assert abs(found - many) <= bound * many
    online.push("e", told([Version(5, 3, 15, "a", None, "word 5", True)]), 20 * MINUTE)
    assert abs(reader.row({"user": "a"}, 20 * MINUTE)["distinct_all"] - 19_999) <= 0.08 * 20_000


def test_what_no_row_can_see_leaves_the_store(tmp_path: Path) -> None:
    online, reader = opened(tmp_path, layout(TABLE, 90, None), [], TABLE, 0)
    store = reader._store
    for now in range(0, 3000, 10):
        some = [Version(now, now - 5, now, str(now), 1.0, "a")]
        online.push("e", told(some), now * MINUTE)
    kept = store.page(b"g", b"", 10_000)[0]
    assert len(kept) < 60  # of 600 entities and versions
    found = [
        reader.row({"user": str(now)}, 2990 * MINUTE)["count_90min"]
        for now in range(2910, 3000, 10)
    ]
    assert found == [1] * 9


def test_a_store_that_is_filled_anew_is_followed(tmp_path: Path) -> None:
    online, reader = opened(tmp_path, layout(TABLE, None, None), [], TABLE, 0)
    online.push("e", told([Version(1, 0, 0, "a", 1.0, "a")]), 10 * MINUTE)
    store, log = reader._store, Log(tmp_path / "log")
    fresh = layout(TABLE, 90, None)
    history = events_table([Version(2, 5, 5, "a", 1.0, "a"), Version(3, 5, 5, "b", 1.0, "a")])
    backfill(store, log, BackfillPlan(fresh, {"e": (history, TABLE)}, 0, "twice"), 20 * MINUTE)
    assert (
        reader.row({"user": "a"}, 30 * MINUTE)["count_90min"] == 2
    )  # one of history, one of the log
    online.push("e", told([Version(4, 6, 6, "a", 1.0, "a")]), 40 * MINUTE)
    assert reader.row({"user": "a"}, 40 * MINUTE)["count_90min"] == 3
    prefixes = {key[:5] for key, _ in store.page(b"g", b"", 1000)[0]}
    assert len(prefixes) == 1  # the generation before is gone


def test_a_push_into_a_store_of_other_windows_since_reads_its_columns_as_they_are_now(
    tmp_path: Path,
) -> None:
    """Values are in the order of the columns that windows read: other windows, another order."""
    online, _ = opened(tmp_path, layout(TABLE, None, None), [], TABLE, 0)
    store, log = online._store, Log(tmp_path / "log")
    columns = {"e": columns_of(events_table([]))}
    only = build_layout([window("sum", None, None)], {"e": TABLE}, {"user": pl.String()}, columns)
    backfill(
        store, log, BackfillPlan(only, {"e": (events_table([]), TABLE)}, 0, "twice"), 20 * MINUTE
    )
    online.push("e", told([Version(4, 6, 6, "a", 2.5, "word")]), 40 * MINUTE)
    assert WindowReader(store).row({"user": "a"}, 40 * MINUTE) == {"sum_all": 2.5}


def test_a_generation_that_was_to_be_removed_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    online, _ = opened(
        tmp_path, layout(TABLE, None, None), [Version(1, 0, 0, "a", 1.0, "a")], TABLE, 0
    )
    store, log, table = online._store, Log(tmp_path / "log"), {"e": (events_table([]), TABLE)}

    def killed(prefix: bytes) -> None:
        if prefix == b"g\0\0\0\1":
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(store, "clear", killed)
        with pytest.raises(Killed):
            backfill(
                store, log, BackfillPlan(layout(TABLE, None, None), table, 0, "twice"), 20 * MINUTE
            )
    backfill(store, log, BackfillPlan(layout(TABLE, None, None), table, 0, "thrice"), 20 * MINUTE)
    assert {key[:5] for key, _ in store.page(b"g", b"", 1000)[0]} == {b"g\0\0\0\3"}


@pytest.mark.parametrize("id", [None, "id"])
def test_what_the_store_refused_once_the_log_had_it_is_told_by_the_next_push(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, id: str | None
) -> None:
    table = EventTable(source="", time="at", id=id)
    online, reader = opened(tmp_path, layout(table, None, None), [], table, 0)

    def full(changes: Any) -> None:
        raise WorkError("online", "no room")

    with monkeypatch.context() as patched:
        patched.setattr(online._store, "write", full)
        pushed = online.push("e", told([Version(1, 0, 0, "a", 1.0, "a")]), 10 * MINUTE)
        assert (pushed.events, str(pushed.store_error)) == (1, "online: no room")
    assert reader.row({"user": "a"}, 20 * MINUTE)["count_all"] == 0
    assert (
        online.push("e", told([Version(2, 1, 1, "a", 2.0, "a")]), 20 * MINUTE).store_error is None
    )
    row = reader.row({"user": "a"}, 20 * MINUTE)
    assert (row["count_all"], row["sum_all"]) == (2, 3.0)


class Killed(BaseException):
    pass


def test_filling_goes_on_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("headrace.store.backfill")
    monkeypatch.setattr(module, "_ENTITIES", 3)
    monkeypatch.setattr(module, "_EVENTS", 7)
    versions = [Version(at, at, at, f"user {at % 20}", float(at), "a") for at in range(60)]
    table = {"e": (events_table(versions), TABLE)}
    store, log, asked = (
        open_backend(None, tmp_path, "test"),
        Log(tmp_path / "log"),
        layout(TABLE, 30, None),
    )
    steps: list[int] = []
    now = 30  # the clock goes on between the calls, and events become known and leave the windows

    def killed(done: int, of: int) -> None:
        steps.append(done)
        raise Killed

    while True:
        try:
            backfill(store, log, BackfillPlan(asked, table, 0, "made of"), now * MINUTE, killed)
            break
        except Killed:
            now += 20
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 10
    moments: list[tuple[str | None, int]] = [
        (f"user {at}", moment) for at in range(20) for moment in (60, 80)
    ]
    check(WindowReader(store), versions, moments, 30, None)
    corrections = [
        one._replace(available=60, value=-1.0) for one in versions
    ]  # an event that is not known counts twice
    Pusher(store, log).push("e", told(corrections), 60 * MINUTE)
    check(WindowReader(store), versions + corrections, moments, 30, None)


BAD: list[tuple[Any, str]] = [
    ([], "no rows"),
    ([1], "row 1: int '1'; expected an object"),
    ({"id": 1}, "row 1: no "),
    (
        [{**told([Version(1, 0, 0, "a", 1.0, "a")])[0], "at": "soon"}],
        "row 1, column 'at': the value 'soon'",
    ),
    (
        [{**told([Version(1, 0, 0, "a", 1.0, "a")])[0], "at": None}],
        "row 1: no 'at'; expected a value in every row",
    ),
    (
        [{**told([Version(1, 0, 0, "a", 1.0, "a")])[0], "id": 1.5}],
        "row 1, column 'id': 1.5; expected a whole number",
    ),
    (
        [{**told([Version(1, 0, 0, "a", 1.0, "a")])[0], "value": "many"}],
        "column 'value': the value 'many'",
    ),
    ([{**told([Version(1, 0, 0, "a", 1.0, "a")])[0], "id": 2**70}], "events 'e'"),
    ([{**told([Version(1, 0, 0, "a", 1.0, "a")])[0], "word": "\ud800"}], "events 'e'"),
    (
        [{**told([Version(1, 0, 0, "a", 1.0, "a")])[0], "value": float("inf")}],
        "'value': inf; expected a finite number",
    ),
    (events_table([]).drop("user"), "no column 'user'"),
    (7, "events of type int; expected a dict, a list of dicts, or a Polars, pandas or Arrow table"),
    (
        [{"id": 1, "at": "2020-01-01", "usr": "a", "value": 1, "word": "a"}],
        "no 'user'; expected a value or null; did ",
    ),
]


@pytest.mark.parametrize(("bad", "words"), BAD)
def test_events_that_cannot_be_taken_leave_everything_as_it_was(
    tmp_path: Path, bad: Any, words: str
) -> None:
    online, _ = opened(tmp_path, layout(TABLE, None, None), [], TABLE, 0)
    with pytest.raises(InputError, match="events 'e'") as error:
        online.push("e", bad, MINUTE)
    assert words in str(error.value)
    assert Log(tmp_path / "log").read().is_empty()
    with pytest.raises(InputError, match="no events 'f' that a window reads; expected one of: e"):
        online.push("f", told([Version(1, 0, 0, "a", 1.0, "a")]), MINUTE)


def test_a_deletion_needs_no_more_than_its_id_and_time(tmp_path: Path) -> None:
    versions = [Version(1, 0, 0, "a", 1.0, "a"), Version(2, 0, 0, "a", 2.0, "a")]
    online, reader = opened(tmp_path, layout(TABLE, None, None), versions, TABLE, 5)
    online.push("e", {"id": 1, "at": datetime(1970, 1, 1), "gone": True}, 10 * MINUTE)
    assert reader.row({"user": "a"}, 10 * MINUTE)["sum_all"] == 2.0
    online.push("e", told([versions[0]]), 20 * MINUTE)  # an old version that is told again
    assert reader.row({"user": "a"}, 20 * MINUTE)["sum_all"] == 2.0
