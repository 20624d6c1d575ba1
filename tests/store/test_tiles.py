"""Tiles of a table of events, and what later events make of them, beside a loop over the events."""

import math
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from headrace.spec import EventTable
from headrace.store.codec import Codec, decode_last, decode_sketch
from headrace.store.layout import EventSource, Group, Level
from headrace.store.tiles import EntityEvents, Tiles, build_tiles, count_mask
from headrace.store.update_tiles import TileUpdater
from headrace.tables import Column
from headrace.windows import State
from headrace.windows.hyperloglog import hash_value

ORIGIN = 2.0
LEVEL = Level(
    10,
    None,
    [
        State("count"),
        State("sum", "x", "x > 0"),
        State("square", "x", origin=ORIGIN),
        State("min", "x"),
        State("time", None, "word == 'a'"),
    ],
    [State("last", "word")],
    [State("distinct", "word", "x <= 2")],
)
SOURCE = EventSource(
    EventTable(source="", time="at"),
    [
        Column(name="word", dtype="string", kind="ignored"),
        Column(name="x", dtype="number", kind="ignored"),
    ],
    ["word", "x"],
    None,
)


class Event(NamedTuple):
    """One event of one of some entities; whole numbers, whose sums are exact."""

    entity: int
    time: int
    word: str | None
    x: float | None


events_of = st.lists(
    st.builds(
        Event,
        entity=st.integers(0, 2),
        time=st.integers(-25, 25),
        word=st.sampled_from(["a", "b", None]),
        x=st.sampled_from([None, -3.0, 0.0, 1.0, 2.0, 7.0]),
    ),
    max_size=14,
)


def by_loop(events: list[tuple[int, Event]]) -> list[Any]:
    """The states of the events of one tile, which come with their places."""
    known = [one.x for _, one in events if one.x is not None]
    said = [(one.time, at, one.word) for at, one in events if one.word is not None]
    small = {one.word for _, one in events if one.x is not None and one.x <= 2}
    return [
        float(len(events)),
        math.fsum(x for x in known if x > 0),
        math.fsum((x - ORIGIN) ** 2 for x in known),
        min(known, default=math.nan),
        max((float(one.time) for _, one in events if one.word == "a"), default=math.nan),
        max(said, default=None),
        sorted(hash_value(word) for word in small if word is not None),
    ]


def expected(events: list[Event]) -> dict[tuple[int, int], str]:
    """The states of each tile, by its entity and its start."""
    found: dict[tuple[int, int], list[tuple[int, Event]]] = {}
    for at, one in enumerate(events):
        found.setdefault((one.entity, math.floor(one.time / 10) * 10), []).append((at, one))
    return {tile: repr(by_loop(some)) for tile, some in sorted(found.items())}


def built(events: list[Event]) -> Tiles:
    return build_tiles(
        LEVEL,
        EntityEvents(
            np.array([one.entity for one in events], np.int64),
            np.array([one.time for one in events], np.int64),
            pl.Series(range(len(events)), dtype=pl.Int64),
            pl.DataFrame(
                [(one.word, one.x) for one in events],
                schema={"word": pl.String(), "x": pl.Float64()},
                orient="row",
            ),
        ),
    )


def told(tiles: Tiles) -> dict[tuple[int, int], str]:
    found = {}
    for at, tile in enumerate(zip(tiles.entity.tolist(), tiles.start.tolist(), strict=True)):
        hashes = tiles.sets[0][at]
        rest = [tiles.lasts[0][at], [] if hashes is None else hashes.tolist()]
        found[tile] = repr([*tiles.numbers[:, at].tolist(), *rest])
    return found


@given(events_of)
def test_every_tile_has_the_states_of_its_events(events: list[Event]) -> None:
    tiles = built(events)
    assert list(told(tiles)) == list(expected(events))  # in the order of entities and starts
    assert told(tiles) == expected(events)


@given(events=events_of, kept=st.integers(0, 2))
def test_the_tiles_of_one_entity_are_those_of_its_events_alone(
    events: list[Event], kept: int
) -> None:
    tiles = built(events)
    own = {tile: states for tile, states in told(tiles).items() if tile[0] == kept}
    assert told(tiles.select(tiles.entity == kept)) == own


@given(events_of)
def test_a_state_counts_where_its_condition_holds_and_its_column_has_a_value(
    events: list[Event],
) -> None:
    values = pl.DataFrame(
        [(one.word, one.x) for one in events],
        schema={"word": pl.String(), "x": pl.Float64()},
        orient="row",
    )
    found = count_mask(State("distinct", "word", "x <= 2"), values).tolist()
    assert found == [one.word is not None and one.x is not None and one.x <= 2 for one in events]
    assert count_mask(State("count"), values).tolist() == [True] * len(events)


@given(
    events=events_of.map(lambda some: [one._replace(entity=0) for one in some]),
    cuts=st.lists(st.integers(0, 14), max_size=3).map(sorted),
    data=st.data(),
)
def test_events_that_come_in_parts_in_any_order_make_the_tiles_of_all(
    events: list[Event], cuts: list[int], data: st.DataObject
) -> None:
    """Each part is written into bytes and read again before the next one comes."""
    codec, updater = Codec(Group("e", ["k"], ["string"], [LEVEL], [])), TileUpdater(LEVEL, SOURCE)
    placed = data.draw(st.permutations(list(enumerate(events))))
    view = None
    for low, high in zip([0, *cuts], [*cuts, len(placed)], strict=True):
        part = [(one.time, at, [one.word, one.x]) for at, one in placed[low:high]]
        blob = codec.encode([updater.update(view, set(), part, 0)], [])
        view = codec.decode(blob)[0][0] if blob else None
    found = {}
    for at, start in enumerate(view.starts if view is not None else []):
        assert view is not None
        last, hashes = (view.pieces(state)[at] for state in (0, 1))
        rest = [decode_last(last) if last else None, decode_sketch(hashes).tolist()]
        found[0, start] = repr([*view.column(at), *rest])
    assert found == expected(events)


@given(
    events=events_of.map(lambda some: [one._replace(entity=0) for one in some]),
    anew=st.sets(st.sampled_from([-30, -20, -10, 0, 10, 20])),
    most=st.sampled_from([5, 10, 25]),
    horizon=st.integers(-20, 40),
)
def test_tiles_that_are_made_anew_and_those_that_no_row_reads_are_gone(
    events: list[Event], anew: set[int], most: int, horizon: int
) -> None:
    level = Level(10, most, LEVEL.numbers, LEVEL.lasts, LEVEL.sets)
    codec, updater = Codec(Group("e", ["k"], ["string"], [level], [])), TileUpdater(level, SOURCE)
    part = [(one.time, at, [one.word, one.x]) for at, one in enumerate(events)]
    blob = codec.encode([updater.update(None, set(), part, -100)], [])
    starts = {math.floor(one.time / 10) * 10 for one in events}
    view = codec.decode(blob)[0][0] if blob else None
    made = updater.update(view, anew, [], horizon)
    oldest = math.floor((horizon - most) / 10) * 10
    assert made.starts.tolist() == sorted(at for at in starts - anew if at >= oldest)
    assert made.numbers.shape == (len(level.numbers), len(made.starts))
    assert [len(column) for column in made.pieces] == [len(made.starts)] * 2
