"""Tiles: what the events of one key and one stretch of time amount to, in a form that can be
merged.

A tile keeps partial states (a count, a sum, extremes, the last value, the different values), never
a finished value. Here the tiles of a whole table of events are made, when a store is filled;
`edit.py` changes those of one entity.
"""

from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats, Integers, Mask, Objects
from headrace.store.layout import Level
from headrace.windows import hyperloglog, parse_condition
from headrace.windows.aggregates import NUMBER_STATES
from headrace.windows.states import Merge, State

_MERGE: dict[Merge, Any] = {"add": np.add, "smallest": np.fmin, "largest": np.fmax}


class Tiles(Struct, frozen=True):
    """Tiles of one level: of which `entity (T,)` and from which `start (T,)`, in the order of both;
    the states that are `numbers (S, T)`; the `lasts`, each `(T,)` of `(time, place, value)` or
    none; the `sets`, each `(T,)` of sketches or none.
    """

    entity: Integers
    start: Integers
    numbers: Floats
    lasts: list[Objects]
    sets: list[Objects]

    def select(self, kept: Mask) -> "Tiles":
        """Those under a mask `(T,)`."""
        lasts, sets = ([column[kept] for column in columns] for columns in (self.lasts, self.sets))
        return Tiles(self.entity[kept], self.start[kept], self.numbers[:, kept], lasts, sets)


class EntityEvents(Struct, frozen=True):
    """Events that count for some entities: `entity (N,)`, `time (N,)`, their `places (N,)` among
    events of one time, and the `values` of the columns that windows read.
    """

    entity: Integers
    time: Integers
    sequences: pl.Series
    values: pl.DataFrame

    def select(self, kept: Mask) -> "EntityEvents":
        """Those under a mask `(N,)`."""
        mask = pl.Series(kept)
        return EntityEvents(
            self.entity[kept],
            self.time[kept],
            self.sequences.filter(mask),
            self.values.filter(mask),
        )


def build_tiles(level: Level, facts: EntityEvents) -> Tiles:
    """The tiles of events."""
    start = facts.time // level.hop * level.hop
    order = np.lexsort((facts.sequences.rank("dense").to_numpy(), facts.time, start, facts.entity))
    entity, start, values = facts.entity[order], start[order], facts.values[order]
    begins = _begins(entity, start)
    numbers = np.empty((len(level.numbers), len(begins)))
    for row, state in zip(numbers, level.numbers, strict=True):
        if len(begins):
            merge = _MERGE[NUMBER_STATES[state.kind].merge]
            row[:] = merge.reduceat(_number(state, values, facts.time[order]), begins)
    lasts = [_lasts(state, values, facts, order, begins) for state in level.lasts]
    sets = [_sets(state, values, begins) for state in level.sets]
    return Tiles(entity[begins], start[begins], numbers, lasts, sets)


def _begins(entity: Integers, start: Integers) -> Integers:
    """Where each run of one entity and one start begins."""
    if not len(entity):
        return np.empty(0, np.int64)
    return np.flatnonzero(
        np.concatenate([[True], (entity[1:] != entity[:-1]) | (start[1:] != start[:-1])])
    )


def count_mask(state: State, values: pl.DataFrame) -> Mask:
    """For which events a state counts `(N,)`."""
    kept = np.ones(values.height, bool)
    if state.where is not None:
        kept = parse_condition(state.where, "", values.schema).mask(values).to_numpy()
    return kept & values[state.of].is_not_null().to_numpy() if state.of is not None else kept


def _number(state: State, values: pl.DataFrame, time: Integers) -> Floats:
    """A state of each event by itself `(N,)`."""
    kind = NUMBER_STATES[state.kind]
    numbers = np.zeros(len(time))
    if state.of is not None:
        numbers = values[state.of].cast(pl.Float64).fill_null(0.0).to_numpy() - state.origin
    return np.where(count_mask(state, values), kind.many(numbers, time), kind.identity)


def _lasts(
    state: State, values: pl.DataFrame, facts: EntityEvents, order: Integers, begins: Integers
) -> Objects:
    assert state.of is not None
    latest = np.where(count_mask(state, values), np.arange(len(order)), -1)
    latest = np.maximum.reduceat(latest, begins) if len(begins) else latest
    place, value = (
        facts.sequences.gather(order[latest]).to_list(),
        values[state.of].gather(latest).to_list(),
    )
    found = np.empty(len(begins), object)
    for at, one in enumerate(zip(facts.time[order[latest]].tolist(), place, value, strict=True)):
        found[at] = one if latest[at] >= 0 else None
    return found


def _sets(state: State, values: pl.DataFrame, begins: Integers) -> Objects:
    assert state.of is not None
    kept = np.flatnonzero(count_mask(state, values))
    hashes = hyperloglog.hash_column(values[state.of].gather(kept))
    tile = np.searchsorted(begins, kept, "right") - 1
    order = np.lexsort((hashes, tile))
    hashes, tile = hashes[order], tile[order]
    fresh = np.ones(len(tile), bool)
    fresh[1:] = (tile[1:] != tile[:-1]) | (hashes[1:] != hashes[:-1])
    hashes, tile = hashes[fresh], tile[fresh]
    found = np.empty(len(begins), object)
    ends = np.searchsorted(tile, np.arange(len(begins) + 1))
    for at in np.unique(tile).tolist():
        found[at] = hyperloglog.from_hashes(hashes[ends[at] : ends[at + 1]])
    return found
