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
from headrace.store.apply_versions import Applier
from headrace.store.codec import Codec, OpenVersion, TileColumns, encode_piece
from headrace.store.ingest import value_columns
from headrace.store.keys import (
    PROGRESS,
    STATE,
    StoreState,
    day_key,
    encode_member,
    entity_key,
    entity_names,
    generation_prefix,
    layout_key,
    versions_key,
)
from headrace.store.layout import EventSource, Group, Layout
from headrace.store.pusher import compute_changes, versions_by_table
from headrace.store.store import Changes, Store
from headrace.store.tiles import EntityEvents, Tiles, build_tiles
from headrace.store.versions import Version, encode
from headrace.windows import NEVER, History, build_history

_ENTITIES, _EVENTS = 5_000, 20_000


class _Progress(Struct, frozen=True, array_like=True):
    """A generation that is being filled: with what, as of which horizon, and how many steps are
    done; or one that is made of nothing and to be cleared.
    """

    cache_key: str
    generation: int
    horizon: int
    steps: int


class BackfillPlan(Struct, frozen=True):
    """History to fill a store with: its layout, and the tables of events by name, which hold the
    records of the log up to `position`.

    `cache_key` names all this; by it a call goes on where an earlier one was killed.
    """

    layout: Layout
    tables: Mapping[str, tuple[pl.DataFrame, EventTable]]
    position: int
    cache_key: str


def backfill(
    store: Store,
    log: Log,
    plan: BackfillPlan,
    now: int,
    watch: Callable[[int, int], None] = lambda done, steps: None,
) -> StoreState:
    """Fills a new generation of a store and lets it be read.

    Pushes may go on meanwhile; the end adds their events. A second call waits.

    Parameters: `now`, in microseconds; `watch`, called with the number of steps that are done and
    the number of all steps.
    """
    with log.backfill_lock():
        return _fill(store, log, plan, now, watch)


def _fill(
    store: Store, log: Log, plan: BackfillPlan, now: int, watch: Callable[[int, int], None]
) -> StoreState:
    histories = {
        name: build_history(frame, table, f"data.events.{name}")
        for name, (frame, table) in plan.tables.items()
    }
    ends = [int(one.available.max()) for one in histories.values() if len(one.available)]
    building = _begin(store, plan.cache_key, min(now, max(ends, default=now)))
    prefix = generation_prefix(building.generation)
    horizon = building.horizon

    # Each step is written together with its number, so that a killed call goes on behind it.
    steps: list[Step] = []
    for name in plan.layout.sources:
        steps += _steps(plan.layout, name, histories[name], prefix, horizon)
    for number, step in enumerate(steps[building.steps :], building.steps + 1):
        changes = Changes()
        step(changes)
        changes.puts[PROGRESS] = encode(structs.replace(building, steps=number))
        store.write(changes)
        watch(number, len(steps))

    # No push comes between: the state that readers see changes in the same write as the data.
    with log.append_lock():
        state = StoreState(building.generation, log.end, horizon)
        pushed = versions_by_table(log.read(since=plan.position), plan.layout)
        changes = compute_changes(Applier(store, plan.layout), state, plan.layout, pushed)
        changes.puts[layout_key(prefix)] = msgspec.json.encode(plan.layout)
        changes.puts[STATE] = state.encode()
        (before,) = store.read([STATE])
        old = StoreState.decode(before).generation if before is not None else 0
        changes.puts[PROGRESS] = encode(_Progress("", old, 0, 0))
        store.write(changes)
    store.clear(generation_prefix(old))
    store.write(Changes(gone={PROGRESS}))
    return state


def _begin(store: Store, cache_key: str, horizon: int) -> _Progress:
    """The generation to fill: a new one, or the one that was being filled with the same."""
    stand, building = store.read([STATE, PROGRESS])
    begun = msgspec.msgpack.decode(building, type=_Progress) if building is not None else None
    if begun is not None and begun.cache_key == cache_key:
        return begun
    if begun is not None:
        store.clear(generation_prefix(begun.generation))
    last = max(
        StoreState.decode(stand).generation if stand else 0, begun.generation if begun else 0
    )
    fresh = _Progress(cache_key, last + 1, horizon, 0)
    store.clear(generation_prefix(fresh.generation))
    store.write(Changes(puts={PROGRESS: encode(fresh)}))
    return fresh


Step = Callable[[Changes], None]


class _VisibleVersions(Struct, frozen=True):
    """The versions of one table that some row may see."""

    source: EventSource
    time: Integers
    available: Integers
    visible_from: Integers
    replaced: Integers
    alive: Mask
    sequences: pl.Series
    values: pl.DataFrame


def _steps(
    layout: Layout, name: str, found: History, prefix: bytes, horizon: int
) -> Iterator[Step]:
    """What is to be written of one table, a bounded part at a time."""
    source, number = layout.sources[name], list(layout.sources).index(name)
    seen = found.replaced > horizon
    if source.most is not None:
        seen &= found.time >= horizon - source.most
    at = np.flatnonzero(seen)
    ids = found.frame[source.table.id].to_physical() if source.table.id is not None else None
    places = (
        pl.Series(np.arange(len(seen)) - 2**53) if ids is None else ids
    )  # without ids before all that is pushed
    told = _VisibleVersions(
        source=source,
        time=found.time[at],
        available=found.available[at],
        visible_from=found.visible_from[at],
        replaced=found.replaced[at],
        alive=found.alive[at],
        sequences=places.gather(at),
        values=value_columns(source, found.frame[at]),
    )
    if ids is not None:
        yield from _versions(told, number, prefix)
    for at_group, group in layout.of(name):
        yield from _entities(told, group, at_group, prefix, horizon)


def _parts(codes: Integers, most: int) -> list[slice]:
    """Stretches of sorted codes, each of at most so many different ones."""
    begins = np.flatnonzero(np.diff(codes, prepend=-1))[::most].tolist()
    return [slice(low, high) for low, high in pairwise([*begins, len(codes)])]


def _versions(told: _VisibleVersions, number: int, prefix: bytes) -> Iterator[Step]:
    """The versions of each event by its id."""
    codes = told.sequences.rank("dense").cast(pl.Int64).to_numpy()
    order = np.lexsort((told.available, codes))

    def write(rows: Integers, changes: Changes) -> None:
        columns = (column[rows].tolist() for column in (told.available, told.time, told.alive))
        places, values = told.sequences.gather(rows).to_list(), told.values[rows].rows()
        kept: dict[bytes, list[Version]] = {}
        for available, time, alive, place, row in zip(*columns, places, values, strict=True):
            key = versions_key(prefix, number, encode_member(place))
            kept.setdefault(key, []).append(Version(available, time, alive, place, list(row)))
        changes.puts |= {key: encode(versions) for key, versions in kept.items()}

    for part in _parts(codes[order], _EVENTS):
        yield partial(write, order[part])


def _entities(
    told: _VisibleVersions, group: Group, at: int, prefix: bytes, horizon: int
) -> Iterator[Step]:
    """The tiles and the open versions of each entity, and under which days the ids of its events stand."""
    names = entity_names(group, told.values)
    codes = names.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    counted = np.flatnonzero(told.alive & (codes > 0) & (told.visible_from < told.replaced))
    order = counted[np.argsort(codes[counted], kind="stable")]
    codec = Codec(group)

    def write(rows: Integers, changes: Changes) -> None:
        _, first, code = np.unique(codes[rows], return_index=True, return_inverse=True)
        entities = names.gather(rows[first]).to_list()
        facts = EntityEvents(code, told.time[rows], told.sequences.gather(rows), told.values[rows])
        open_ = (told.visible_from[rows] > horizon) | (told.replaced[rows] != NEVER)
        opens: dict[int, list[OpenVersion]] = {}
        for row in np.flatnonzero(open_).tolist():
            place, values = facts.sequences[row], list(facts.values.row(row))
            one = OpenVersion(
                int(told.visible_from[rows[row]]),
                int(told.replaced[rows[row]]),
                int(facts.time[row]),
                place,
                values,
            )
            opens.setdefault(int(code[row]), []).append(one)
        folded = facts.select(~open_)
        tiles = []
        for level in group.levels:
            made, least = build_tiles(level, folded), level.least_start(horizon)
            tiles.append(made if least is None else made.select(made.start >= least))
        levels = [_written(some, len(entities)) for some in tiles]
        for number, name in enumerate(entities):
            if blob := codec.encode([written[number] for written in levels], opens.get(number, [])):
                changes.puts[entity_key(prefix, at, name)] = blob
        if told.source.table.id is not None:
            for one, time, place in zip(
                code.tolist(), facts.time.tolist(), facts.sequences.to_list(), strict=True
            ):
                changes.added.setdefault(day_key(prefix, at, entities[one], time), set()).add(
                    encode_member(place)
                )

    for part in _parts(codes[order], _ENTITIES):
        yield partial(write, order[part])


def _written(tiles: Tiles, entities: int) -> list[TileColumns]:
    """The tiles of each entity."""
    pieces = [[encode_piece(one) for one in column] for column in (*tiles.lasts, *tiles.sets)]
    bounds = np.searchsorted(tiles.entity, np.arange(entities + 1)).tolist()
    return [
        TileColumns(
            tiles.start[low:high],
            tiles.numbers[:, low:high],
            [column[low:high] for column in pieces],
        )
        for low, high in pairwise(bounds)
    ]
