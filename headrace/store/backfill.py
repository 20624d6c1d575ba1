"""Filling a store from history: all at once, beside what is read meanwhile, and on from where it was killed."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct, structs

from headrace.arrays import Integers, Mask
from headrace.log import Log
from headrace.spec import EventTable
from headrace.store.apply_versions import Writer
from headrace.store.codec import Form, Open, Written, piece
from headrace.store.ingest import plain
from headrace.store.keys import (
    BUILDING,
    STAND,
    Stand,
    day_key,
    entity_key,
    layout_key,
    member_of,
    names_in,
    prefix_of,
    versions_key,
)
from headrace.store.layout import Group, Layout, Source
from headrace.store.push import changes_of, told_in
from headrace.store.store import Changes, Store
from headrace.store.tiles import Facts, Tiles, tiles_of
from headrace.store.versions import Version, encode
from headrace.windows import NEVER, History, history

_ENTITIES, _EVENTS = 5_000, 20_000


class _Building(Struct, frozen=True, array_like=True):
    """A generation that is being filled: with what, as of which horizon, and how many steps are done; or one that is
    made of nothing and to be cleared."""

    made_of: str
    generation: int
    horizon: int
    steps: int


def fill(
    store: Store,
    log: Log,
    layout: Layout,
    tables: Mapping[str, tuple[pl.DataFrame, EventTable]],
    position: int,
    made_of: str,
    now: int,
    watch: Callable[[int, int], None] = lambda done, steps: None,
) -> Stand:
    """Fills a new generation of a store and lets it be read.

    Parameters: the `tables` of events by name, with those of the log up to `position` in them; `made_of`, a name of all
    this, by which a call goes on where an earlier one was killed; `now` in microseconds. Pushes may go on meanwhile:
    what they tell is added at the end; a second call waits. `watch` hears how many steps are done.
    """
    with log.filling():
        return _fill(store, log, layout, tables, position, made_of, now, watch)


def _fill(
    store: Store,
    log: Log,
    layout: Layout,
    tables: Mapping[str, tuple[pl.DataFrame, EventTable]],
    position: int,
    made_of: str,
    now: int,
    watch: Callable[[int, int], None],
) -> Stand:
    found = {name: history(frame, table, f"data.events.{name}") for name, (frame, table) in tables.items()}
    ends = [int(one.available.max()) for one in found.values() if len(one.available)]
    building = _begin(store, made_of, min(now, max(ends, default=now)))
    prefix, horizon = prefix_of(building.generation), building.horizon
    steps = [step for name in layout.sources for step in _steps(layout, name, found[name], prefix, horizon)]
    for number, step in enumerate(steps[building.steps :], building.steps + 1):
        changes = Changes()
        step(changes)
        changes.puts[BUILDING] = encode(structs.replace(building, steps=number))
        store.write(changes)
        watch(number, len(steps))
    with log.writing():
        stand = Stand(building.generation, log.end, horizon)
        told = told_in(log.read(since=position), layout)
        changes = changes_of(Writer(store, layout), stand, layout, told)
        changes.puts |= {layout_key(prefix): msgspec.json.encode(layout), STAND: stand.encode()}
        (before,) = store.read([STAND])
        old = Stand.decode(before).generation if before is not None else 0
        changes.puts[BUILDING] = encode(_Building("", old, 0, 0))
        store.write(changes)
    store.clear(prefix_of(old))
    store.write(Changes(gone={BUILDING}))
    return stand


def _begin(store: Store, made_of: str, horizon: int) -> _Building:
    """The generation to fill: a new one, or the one that was being filled with the same."""
    stand, building = store.read([STAND, BUILDING])
    begun = msgspec.msgpack.decode(building, type=_Building) if building is not None else None
    if begun is not None and begun.made_of == made_of:
        return begun
    if begun is not None:
        store.clear(prefix_of(begun.generation))
    last = max(Stand.decode(stand).generation if stand else 0, begun.generation if begun else 0)
    fresh = _Building(made_of, last + 1, horizon, 0)
    store.clear(prefix_of(fresh.generation))
    store.write(Changes(puts={BUILDING: encode(fresh)}))
    return fresh


Step = Callable[[Changes], None]


class _Told(Struct, frozen=True):
    """The versions of one table that some row may see."""

    source: Source
    time: Integers
    available: Integers
    known: Integers
    replaced: Integers
    alive: Mask
    places: pl.Series
    values: pl.DataFrame


def _steps(layout: Layout, name: str, found: History, prefix: bytes, horizon: int) -> Iterator[Step]:
    """What is to be written of one table, a bounded part at a time."""
    source, number = layout.sources[name], list(layout.sources).index(name)
    seen = found.replaced > horizon
    if source.most is not None:
        seen &= found.time >= horizon - source.most
    at = np.flatnonzero(seen)
    ids = found.frame[source.table.id].to_physical() if source.table.id is not None else None
    places = pl.Series(np.arange(len(seen)) - 2**53) if ids is None else ids  # without ids before all that is pushed
    told = _Told(
        source=source,
        time=found.time[at],
        available=found.available[at],
        known=found.known[at],
        replaced=found.replaced[at],
        alive=found.alive[at],
        places=places.gather(at),
        values=plain(source, found.frame[at]),
    )
    if ids is not None:
        yield from _versions(told, number, prefix)
    for at_group, group in layout.of(name):
        yield from _entities(told, group, at_group, prefix, horizon)


def _parts(codes: Integers, most: int) -> list[slice]:
    """Stretches of sorted codes, each of at most so many different ones."""
    begins = np.flatnonzero(np.diff(codes, prepend=-1))[::most].tolist()
    return [slice(low, high) for low, high in pairwise([*begins, len(codes)])]


def _versions(told: _Told, number: int, prefix: bytes) -> Iterator[Step]:
    """The versions of each event by its id."""
    codes = told.places.rank("dense").cast(pl.Int64).to_numpy()
    order = np.lexsort((told.available, codes))

    def write(rows: Integers, changes: Changes) -> None:
        columns = (column[rows].tolist() for column in (told.available, told.time, told.alive))
        places, values = told.places.gather(rows).to_list(), told.values[rows].rows()
        kept: dict[bytes, list[Version]] = {}
        for available, time, alive, place, row in zip(*columns, places, values, strict=True):
            key = versions_key(prefix, number, member_of(place))
            kept.setdefault(key, []).append(Version(available, time, alive, place, list(row)))
        changes.puts |= {key: encode(versions) for key, versions in kept.items()}

    for part in _parts(codes[order], _EVENTS):
        yield partial(write, order[part])


def _entities(told: _Told, group: Group, at: int, prefix: bytes, horizon: int) -> Iterator[Step]:
    """The tiles and the open versions of each entity, and under which days the ids of its events stand."""
    names = names_in(group, told.values)
    codes = names.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    counted = np.flatnonzero(told.alive & (codes > 0) & (told.known < told.replaced))
    order = counted[np.argsort(codes[counted], kind="stable")]
    form = Form(group)

    def write(rows: Integers, changes: Changes) -> None:
        _, first, code = np.unique(codes[rows], return_index=True, return_inverse=True)
        entities = names.gather(rows[first]).to_list()
        facts = Facts(code, told.time[rows], told.places.gather(rows), told.values[rows])
        open_ = (told.known[rows] > horizon) | (told.replaced[rows] != NEVER)
        opens: dict[int, list[Open]] = {}
        for row in np.flatnonzero(open_).tolist():
            place, values = facts.places[row], list(facts.values.row(row))
            one = Open(int(told.known[rows[row]]), int(told.replaced[rows[row]]), int(facts.time[row]), place, values)
            opens.setdefault(int(code[row]), []).append(one)
        folded = facts.some(~open_)
        tiles = []
        for level in group.levels:
            made, least = tiles_of(level, folded), level.least_start(horizon)
            tiles.append(made if least is None else made.some(made.start >= least))
        levels = [_written(some, len(entities)) for some in tiles]
        for number, name in enumerate(entities):
            if blob := form.write([written[number] for written in levels], opens.get(number, [])):
                changes.puts[entity_key(prefix, at, name)] = blob
        if told.source.table.id is not None:
            for one, time, place in zip(code.tolist(), facts.time.tolist(), facts.places.to_list(), strict=True):
                changes.added.setdefault(day_key(prefix, at, entities[one], time), set()).add(member_of(place))

    for part in _parts(codes[order], _ENTITIES):
        yield partial(write, order[part])


def _written(tiles: Tiles, entities: int) -> list[Written]:
    """The tiles of each entity."""
    pieces = [[piece(one) for one in column] for column in (*tiles.lasts, *tiles.sets)]
    bounds = np.searchsorted(tiles.entity, np.arange(entities + 1)).tolist()
    return [
        Written(tiles.start[low:high], tiles.numbers[:, low:high], [column[low:high] for column in pieces])
        for low, high in pairwise(bounds)
    ]
