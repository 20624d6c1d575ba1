"""Every online store keeps the same promises."""

import multiprocessing
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import InputError, WorkError
from headrace.store.backends.memory import MemoryStore
from headrace.store.open import open_backend
from headrace.store.store import Changes, Store
from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), "no")
    yield server
    server.kill()


@pytest.fixture(params=["memory", "lmdb", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore()
    if request.param != "memory":
        opened = open_backend(place_of(request, request.param, tmp_path), tmp_path, "test")
    with closing(opened):
        opened.clear(b"")
        yield opened


def place_of(request: pytest.FixtureRequest, backend: str, folder: Path) -> str | None:
    """The URL of a store; none for the one in a folder."""
    if backend == "lmdb":
        return None
    server: RedisServer = request.getfixturevalue("redis")
    return server.url


def test_what_was_written_is_read(store: Store) -> None:
    assert store.read([b"a", b"b"]) == [None, None]
    store.write(Changes(puts={b"a": b"1", b"b": b"\x00\xff"}))
    assert store.read([b"b", b"x", b"a"]) == [b"\x00\xff", None, b"1"]
    store.write(Changes(puts={b"a": b"2"}, gone={b"b", b"never"}))
    assert store.read([b"a", b"b"]) == [b"2", None]
    assert store.read([]) == []


def test_sets_have_members(store: Store) -> None:
    store.write(Changes(added={b"s": {b"1", b"2"}, b"t": {b"3"}}))
    store.write(
        Changes(
            added={b"s": {b"2", b"4"}}, removed={b"s": {b"1", b"9"}, b"t": {b"3"}, b"u": {b"1"}}
        )
    )
    assert store.members([b"s", b"t", b"u"]) == [{b"2", b"4"}, set(), set()]
    assert store.members([]) == []


def test_pages_go_round_the_values_of_a_prefix(store: Store) -> None:
    values = {b"p%03d" % at: b"%d" % at for at in range(100)}
    store.write(Changes(puts=values | {b"o": b"", b"q": b""}, added={b"p-set": {b"1"}}))
    found: dict[bytes, bytes] = {}
    cursor = b""
    while True:
        page, cursor = store.page(b"p", cursor, 7)
        found |= dict(page)
        if not cursor:
            break
    assert found == values


def test_a_prefix_is_cleared(store: Store) -> None:
    special = b"g[*?]\\^"  # what a pattern would understand
    store.write(
        Changes(
            puts={special + b"1": b"1", b"gx1": b"2"},
            added={special + b"s": {b"1"}, b"gxs": {b"2"}},
        )
    )
    store.clear(special)
    assert store.read([special + b"1", b"gx1"]) == [None, b"2"]
    assert store.members([special + b"s", b"gxs"]) == [set(), {b"2"}]


@pytest.mark.parametrize("backend", ["lmdb", "redis"])
def test_another_process_sees_what_was_written(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = place_of(request, backend, tmp_path), tmp_path
    with closing(open_backend(*place, "test")) as store:
        store.write(Changes(puts={b"a": b"1"}))
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            assert pool.apply(_add_one, (place,)) == b"1"
        assert store.read([b"a"]) == [b"2"]


def _add_one(place: tuple[str | None, Path]) -> bytes | None:
    with closing(open_backend(*place, "test")) as store:
        (before,) = store.read([b"a"])
        store.write(Changes(puts={b"a": b"2"}))
        return before


names = st.binary(min_size=1, max_size=3)
changes = st.builds(
    Changes,
    puts=st.dictionaries(names, st.binary(max_size=5), max_size=4),
    added=st.dictionaries(names, st.sets(names, max_size=3), max_size=3),
    removed=st.dictionaries(names, st.sets(names, max_size=3), max_size=3),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(changes, max_size=6))
def test_a_store_is_a_dictionary(store: Store, steps: list[Changes]) -> None:
    """Values under `v`, sets under `s`, for no store has both under one key."""
    store.clear(b"")
    values: dict[bytes, bytes] = {}
    sets: dict[bytes, set[bytes]] = {}
    for step in steps:
        gone = set(list(step.removed)[:1])
        kept = Changes(
            puts={b"v" + key: value for key, value in step.puts.items()},
            gone={b"v" + key for key in gone if key not in step.puts},
            added={b"s" + key: members for key, members in step.added.items()},
            removed={b"s" + key: members for key, members in step.removed.items()},
        )
        store.write(kept)
        values |= kept.puts
        for key in kept.gone:
            values.pop(key, None)
        for key, members in kept.added.items():
            sets[key] = sets.get(key, set()) | members
        for key, members in kept.removed.items():
            sets[key] = sets.get(key, set()) - members
    assert store.read(sorted(values)) == [values[key] for key in sorted(values)]
    assert store.members(sorted(sets)) == [sets[key] for key in sorted(sets)]
    assert dict(store.page(b"v", b"", 10_000)[0]) == values


def test_a_url_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"store: mysql://x; expected nothing \(LMDB"):
        open_backend("mysql://x", tmp_path, "test")


def test_a_server_that_is_gone_says_so_and_serves_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    try:
        with closing(open_backend(server.url, tmp_path, "test")) as store:
            store.write(Changes(puts={b"a": b"1"}))
            server.kill()
            with pytest.raises(WorkError, match="the online store does not answer"):
                store.read([b"a"])
            server.start()
            assert store.read([b"a"]) == [b"1"]  # its log of appended writes was on disk
        with pytest.raises(WorkError, match="does not answer"):
            server.kill()
            open_backend(server.url, tmp_path, "test")
    finally:
        server.kill()
