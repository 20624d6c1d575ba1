"""What no later row reads is removed, that alone, and damaged bytes stay for their readers."""

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.spec import EventTable, Window
from headrace.store.codec import Codec, OpenVersion, TileColumns
from headrace.store.expire import Expirer
from headrace.store.keys import StoreState, day_key, encode_member, entity_key, versions_key
from headrace.store.layout import Layout, build_layout
from headrace.store.open import open_backend
from headrace.store.store import Changes, Store
from headrace.store.versions import Version, encode
from headrace.tables import Column

MINUTE = 60 * 10**6
COLUMNS = [
    Column(name="at", dtype="datetime", kind="datetime"),
    Column(name="id", dtype="integer", kind="ignored"),
    Column(name="user", dtype="string", kind="categorical"),
]
OVER, HOP = 90, 7


def layout_of(over: str = f"{OVER}min") -> Layout:
    window = Window(name="w", events="e", key="user", over=[over], hop=f"{HOP}min")
    table = EventTable(source="", time="at", id="id")
    return build_layout([window], {"e": table}, {"user": pl.String()}, {"e": COLUMNS})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_backend(None, tmp_path, "test")) as opened:
        yield opened


def blob_of(layout: Layout, start: int, opens: list[OpenVersion]) -> bytes:
    columns = TileColumns(np.array([start * MINUTE]), np.array([[1.0]]), [])
    return Codec(layout.groups[0]).encode([columns], opens)


def expired(store: Store, layout: Layout, stand: StoreState) -> Changes:
    """What goes when every key was looked at."""
    changes, expirer = Changes(), Expirer(store, layout)
    for _ in range(10):
        expirer.step(stand, changes)
    return changes


@given(
    starts=st.lists(st.integers(-40, 40).map(lambda at: at * HOP), max_size=40),
    horizon=st.integers(-200, 300),
)
def test_an_entity_goes_once_its_last_tile_lies_before_every_window(
    starts: list[int], horizon: int
) -> None:
    layout, stand = layout_of(), StoreState(1, 0, horizon * MINUTE)
    entities = {entity_key(stand.prefix, 0, f"user {at}"): start for at, start in enumerate(starts)}
    left = math.floor((horizon - OVER) / HOP) * HOP
    with TemporaryDirectory() as folder, closing(open_backend(None, Path(folder), "t")) as store:
        blobs = {key: blob_of(layout, start, []) for key, start in entities.items()}
        store.write(Changes(puts=blobs))
        gone = expired(store, layout, stand).gone
    assert gone == {key for key, start in entities.items() if start < left}


def test_an_entity_with_something_open_or_windows_for_ever_stays(store: Store) -> None:
    layout, stand = layout_of(), StoreState(1, 0, 10_000 * MINUTE)
    key = entity_key(stand.prefix, 0, "a")
    opens = [OpenVersion(2**62, 2**63 - 1, 0, 1, ["a"])]
    store.write(Changes(puts={key: blob_of(layout, 0, opens)}))
    assert expired(store, layout, stand) == Changes()
    store.write(Changes(puts={key: blob_of(layout, 0, [])}))
    assert expired(store, layout_of("all"), stand) == Changes()
    assert expired(store, layout, stand) == Changes(gone={key})


def test_an_event_goes_with_its_place_in_the_set_of_its_day(store: Store) -> None:
    """An event is needed as long as its tile may be made again: a window and one hop."""
    layout, puts = layout_of(), {}
    stand = StoreState(1, 0, 10_000 * MINUTE)
    border = 10_000 - OVER - HOP
    for id, minute, alive in ((1, border - 1, True), (2, border, True), (3, border - 1, False)):
        version = Version(0, minute * MINUTE, alive, id, ["a"])
        puts[versions_key(stand.prefix, 0, encode_member(id))] = encode([version])
    store.write(Changes(puts=puts))
    first, _, third = puts
    day = day_key(stand.prefix, 0, "a", (border - 1) * MINUTE)
    assert expired(store, layout, stand) == Changes(
        gone={first, third}, removed={day: {encode_member(1)}}
    )


def test_what_changes_anyway_and_what_is_damaged_is_left_alone(store: Store) -> None:
    layout, stand = layout_of(), StoreState(1, 0, 10_000 * MINUTE)
    old = entity_key(stand.prefix, 0, "old")
    damaged = entity_key(stand.prefix, 0, "damaged")
    event = versions_key(stand.prefix, 0, encode_member(1))
    other = entity_key(StoreState(2, 0, 0).prefix, 0, "old")
    blob = blob_of(layout, 0, [])
    store.write(Changes(puts={old: blob, damaged: blob[:3], event: b"\xc1", other: blob}))
    changes = Changes(puts={old: blob})
    Expirer(store, layout).step(stand, changes)
    assert changes == Changes(puts={old: blob})
