"""Fills a store from history, while rows are read and events are pushed.

A store holds generations. A backfill fills the next one, step by step, while readers use the one
before; the last write lets readers turn to it, together with what was pushed meanwhile:

    readers       generation 1 ...................................| generation 2 ......
    backfill      | step 1 | step 2 | ... | step n | pushes + state |  remove 1 |
    progress key    1        2              n        remove 1 ......             none

Each step is written together with its number, so that a killed backfill goes on behind its last
step. One that is killed while it removes the generation before leaves that to the next.
"""

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

_ENTITIES = 5_000
_EVENTS = 20_000
"""The numbers of entities, and of events with ids, that a step writes."""


class _Progress(Struct, frozen=True, array_like=True):
    """The generation that is being filled.

    `cache_key` names what it is filled with, `horizon` is the moment as of which it is filled
    (microseconds), and `steps` counts those that are done. An empty `cache_key` names a generation
    that is to be removed.
    """

    cache_key: str
    generation: int
    horizon: int
    steps: int


class BackfillPlan(Struct, frozen=True):
    """The plan of a backfill.

    `tables` are the events and their description by the name of the table; they hold the records
    of the log up to `position`. `cache_key` names all this: a call goes on where an earlier one of
    the same key was killed.
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
    """Fill a new generation of a store, and let readers turn to it.

    Pushes may go on meanwhile; the last step adds their events. A second call waits.

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
    # A row before the horizon cannot be read as of its own time: it is as early as history allows.
    ends = [int(one.available.max()) for one in histories.values() if len(one.available)]
    progress = _begin(store, plan.cache_key, min(now, max(ends, default=now)))
    prefix = generation_prefix(progress.generation)

    steps: list[Step] = []
    for name in plan.layout.sources:
        steps += _list_steps(plan.layout, name, histories[name], prefix, progress.horizon)
    # Each step is written together with its number, so that a killed call goes on behind it.
    for number, step in enumerate(steps[progress.steps :], progress.steps + 1):
        changes = Changes()
        step(changes)
        changes.puts[PROGRESS] = encode(structs.replace(progress, steps=number))
        store.write(changes)
        watch(number, len(steps))
    return _publish(store, log, plan, progress)


def _publish(store: Store, log: Log, plan: BackfillPlan, progress: _Progress) -> StoreState:
    """Let readers turn to a filled generation, and remove the one before."""
    # No push comes between: the state that readers see changes in the same write as the data.
    with log.append_lock():
        state = StoreState(progress.generation, log.end, progress.horizon)
        pushed = versions_by_table(log.read(since=plan.position), plan.layout)
        changes = compute_changes(Applier(store, plan.layout), state, plan.layout, pushed)
        changes.puts[layout_key(state.prefix)] = msgspec.json.encode(plan.layout)
        changes.puts[STATE] = state.encode()

        (before,) = store.read([STATE])
        old = StoreState.decode(before).generation if before is not None else 0
        changes.puts[PROGRESS] = encode(_Progress("", old, 0, 0))
        store.write(changes)

    store.clear(generation_prefix(old))
    store.write(Changes(gone={PROGRESS}))
    return state


def _begin(store: Store, cache_key: str, horizon: int) -> _Progress:
    """Return the progress of the generation to fill.

    It is a new generation, or the one that a killed call of the same key has begun.
    """
    state, value = store.read([STATE, PROGRESS])
    begun = msgspec.msgpack.decode(value, type=_Progress) if value is not None else None
    if begun is not None and begun.cache_key == cache_key:
        return begun

    last = StoreState.decode(state).generation if state else 0
    if begun is not None:
        store.clear(generation_prefix(begun.generation))
        last = max(last, begun.generation)
    fresh = _Progress(cache_key, last + 1, horizon, 0)
    # Something may lie there all the same, where the state was lost but its keys were not.
    store.clear(generation_prefix(fresh.generation))
    store.write(Changes(puts={PROGRESS: encode(fresh)}))
    return fresh


Step = Callable[[Changes], None]
"""Adds to changes what one step writes."""


class _VisibleVersions(Struct, frozen=True):
    """The versions of one table that some row may see, one an entry of each array `(N,)`.

    Times are microseconds; the arrays mean what they mean in `History`. `values` holds the columns
    that windows read.
    """

    source: EventSource
    time: Integers
    available: Integers
    visible_from: Integers
    replaced: Integers
    alive: Mask
    sequences: pl.Series
    values: pl.DataFrame


def _list_steps(
    layout: Layout, name: str, history: History, prefix: bytes, horizon: int
) -> Iterator[Step]:
    """List the steps that write one table, each of a bounded part of it."""
    source = layout.sources[name]
    visible = _select_visible(source, history, horizon)
    if source.table.id is not None:
        writer = _VersionsWriter(visible, list(layout.sources).index(name), prefix)
        yield from writer.steps()
    for number, group in layout.find_groups(name):
        yield from _EntityWriter(visible, group, number, prefix, horizon).steps()


def _select_visible(source: EventSource, history: History, horizon: int) -> _VisibleVersions:
    mask = history.replaced > horizon
    if source.most is not None:
        mask &= history.time >= horizon - source.most
    at = np.flatnonzero(mask)

    # Events without ids come before all that is pushed, whose sequences are positions in the log.
    sequences = pl.Series(np.arange(len(mask)) - 2**53)
    if source.table.id is not None:
        sequences = history.frame[source.table.id].to_physical()
    return _VisibleVersions(
        source=source,
        time=history.time[at],
        available=history.available[at],
        visible_from=history.visible_from[at],
        replaced=history.replaced[at],
        alive=history.alive[at],
        sequences=sequences.gather(at),
        values=value_columns(source, history.frame[at]),
    )


def _split_codes(codes: Integers, most: int) -> list[slice]:
    """Split sorted codes into stretches of at most `most` different codes each.

    >>> _split_codes(np.array([0, 0, 1, 2, 2, 5]), most=2)
    [slice(0, 3, None), slice(3, 6, None)]
    """
    begins = np.flatnonzero(np.diff(codes, prepend=-1))[::most].tolist()
    return [slice(low, high) for low, high in pairwise([*begins, len(codes)])]


class _VersionsWriter:
    """Writes the versions of each event by its id."""

    def __init__(self, visible: _VisibleVersions, number: int, prefix: bytes) -> None:
        self._visible = visible
        self._number = number
        self._prefix = prefix

    def steps(self) -> Iterator[Step]:
        """List the steps; one event is in one step, with its versions as they became available."""
        codes = self._visible.sequences.rank("dense").cast(pl.Int64).to_numpy()
        order = np.lexsort((self._visible.available, codes))
        for part in _split_codes(codes[order], _EVENTS):
            yield partial(self._write, order[part])

    def _write(self, rows: Integers, changes: Changes) -> None:
        visible = self._visible
        fields = zip(
            visible.available[rows].tolist(),
            visible.time[rows].tolist(),
            visible.alive[rows].tolist(),
            visible.sequences.gather(rows).to_list(),
            visible.values[rows].rows(),
            strict=True,
        )
        versions: dict[bytes, list[Version]] = {}
        for available, time, alive, sequence, values in fields:
            key = versions_key(self._prefix, self._number, encode_member(sequence))
            version = Version(available, time, alive, sequence, list(values))
            versions.setdefault(key, []).append(version)
        changes.puts |= {key: encode(group) for key, group in versions.items()}


class _EntityWriter:
    """Writes the entities of one group, and the sets of the ids of their events by day."""

    def __init__(
        self, visible: _VisibleVersions, group: Group, number: int, prefix: bytes, horizon: int
    ) -> None:
        self._visible = visible
        self._group = group
        self._number = number
        self._prefix = prefix
        self._horizon = horizon
        self._codec = Codec(group)
        self._names = entity_names(group, visible.values)
        # 0 is the code of events without an entity.
        self._codes = self._names.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()

    def steps(self) -> Iterator[Step]:
        """List the steps; all events of one entity are in one step."""
        visible = self._visible
        is_ever_visible = visible.visible_from < visible.replaced
        counted = np.flatnonzero(visible.alive & (self._codes > 0) & is_ever_visible)
        order = counted[np.argsort(self._codes[counted], kind="stable")]
        for part in _split_codes(self._codes[order], _ENTITIES):
            yield partial(self._write, order[part])

    def _write(self, rows: Integers, changes: Changes) -> None:
        """Add the entities of some versions, given by their rows, to the changes."""
        visible = self._visible
        _, first, entity = np.unique(self._codes[rows], return_index=True, return_inverse=True)
        names = self._names.gather(rows[first]).to_list()
        events = EntityEvents(
            entity, visible.time[rows], visible.sequences.gather(rows), visible.values[rows]
        )
        is_open = visible.visible_from[rows] > self._horizon
        is_open |= visible.replaced[rows] != NEVER

        opens = self._open_versions(rows, events, is_open)
        levels = self._build_levels(events.select(~is_open), len(names))
        for number, name in enumerate(names):
            tiles = [columns[number] for columns in levels]
            blob = self._codec.encode(tiles, opens.get(number, []))
            if blob:
                changes.puts[entity_key(self._prefix, self._number, name)] = blob
        if visible.source.table.id is not None:
            self._add_days(names, events, changes)

    def _open_versions(
        self, rows: Integers, events: EntityEvents, is_open: Mask
    ) -> dict[int, list[OpenVersion]]:
        """Return the open versions of each entity, by its number in the step."""
        opens: dict[int, list[OpenVersion]] = {}
        for at in np.flatnonzero(is_open).tolist():
            version = OpenVersion(
                int(self._visible.visible_from[rows[at]]),
                int(self._visible.replaced[rows[at]]),
                int(events.time[at]),
                events.sequences[at],
                list(events.values.row(at)),
            )
            opens.setdefault(int(events.entity[at]), []).append(version)
        return opens

    def _build_levels(self, settled: EntityEvents, entities: int) -> list[list[TileColumns]]:
        """Build the tiles of settled events: for each level those of each entity."""
        levels = []
        for level in self._group.levels:
            tiles = build_tiles(level, settled)
            least = level.least_start(self._horizon)
            if least is not None:
                tiles = tiles.select(tiles.start >= least)
            levels.append(_split_tiles(tiles, entities))
        return levels

    def _add_days(self, names: list[str], events: EntityEvents, changes: Changes) -> None:
        """Add the id of each event to the set of its entity and day."""
        fields = zip(
            events.entity.tolist(), events.time.tolist(), events.sequences.to_list(), strict=True
        )
        for entity, time, sequence in fields:
            day = day_key(self._prefix, self._number, names[entity], time)
            changes.added.setdefault(day, set()).add(encode_member(sequence))


def _split_tiles(tiles: Tiles, entities: int) -> list[TileColumns]:
    """Split tiles into those of each entity."""
    pieces = [[encode_piece(state) for state in column] for column in (*tiles.lasts, *tiles.sets)]
    bounds = np.searchsorted(tiles.entity, np.arange(entities + 1)).tolist()
    return [
        TileColumns(
            tiles.start[low:high],
            tiles.numbers[:, low:high],
            [column[low:high] for column in pieces],
        )
        for low, high in pairwise(bounds)
    ]
