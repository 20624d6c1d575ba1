"""Tiles: the states of the events of one entity in one stretch of time, ready to be merged.

A tile holds partial states (a count, a sum, extremes, the last value, the different values), never
a finished value: two counts add up, two averages do not. Tiles of one level are `hop` wide and
begin at multiples of it:

    hop 5       0         5         10        15        20
    entity a    | . .     |         |  .      |  . . .  |         events
    entity b    |     .   | .       |         |         |

    tiles       a from 0: count 2     a from 10: count 1     a from 15: count 3
                b from 0: count 1     b from 5: count 1

A stretch without events has no tile. Here the tiles of a whole table of events are built, when a
store is filled; `update_tiles.py` changes those of one entity.
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
    """Tiles of one level, ordered by entity and start.

    - `entity (T,)`: the number of the entity of each tile.
    - `start (T,)`: where each tile begins (microseconds).
    - `numbers (S, T)`: the states that are numbers.
    - `lasts`: for each last value an array `(T,)` of `(time, sequence, value)` or none.
    - `sets`: for each set an array `(T,)` of sketches or none.
    """

    entity: Integers
    start: Integers
    numbers: Floats
    lasts: list[Objects]
    sets: list[Objects]

    def select(self, mask: Mask) -> "Tiles":
        """Return the tiles under a mask `(T,)`."""
        return Tiles(
            self.entity[mask],
            self.start[mask],
            self.numbers[:, mask],
            [column[mask] for column in self.lasts],
            [column[mask] for column in self.sets],
        )


class EntityEvents(Struct, frozen=True):
    """Events of some entities.

    - `entity (N,)`: the number of the entity of each event.
    - `time (N,)`: when each happened (microseconds).
    - `sequences (N,)`: the order of events of one time.
    - `values`: N rows of the columns that windows read.
    """

    entity: Integers
    time: Integers
    sequences: pl.Series
    values: pl.DataFrame

    def select(self, mask: Mask) -> "EntityEvents":
        """Return the events under a mask `(N,)`."""
        series = pl.Series(mask)
        return EntityEvents(
            self.entity[mask],
            self.time[mask],
            self.sequences.filter(series),
            self.values.filter(series),
        )


def build_tiles(level: Level, events: EntityEvents) -> Tiles:
    """Build the tiles of events.

    >>> from headrace.windows import State
    >>> level = Level(5, None, numbers=[State("count")], lasts=[], sets=[])
    >>> events = EntityEvents(
    ...     entity=np.array([1, 0, 0, 1]),
    ...     time=np.array([6, 1, 2, 4]),
    ...     sequences=pl.Series([0, 1, 2, 3]),
    ...     values=pl.DataFrame({"item": ["x", "y", "x", "x"]}),
    ... )
    >>> tiles = build_tiles(level, events)
    >>> tiles.entity.tolist(), tiles.start.tolist(), tiles.numbers.tolist()
    ([0, 1, 1], [0, 0, 5], [[2.0, 1.0, 1.0]])
    """
    start = events.time // level.hop * level.hop
    # Sequences may be texts, of which `lexsort` takes none.
    ranks = events.sequences.rank("dense").to_numpy()
    order = np.lexsort((ranks, events.time, start, events.entity))
    entity = events.entity[order]
    start = start[order]
    values = events.values[order]

    # The events of one tile are now neighbours: each tile is reduced from where its run begins.
    begins = _run_starts(entity, start)
    numbers = np.empty((len(level.numbers), len(begins)))
    for row, state in zip(numbers, level.numbers, strict=True):
        # `reduceat` refuses an empty list of starts.
        if len(begins):
            merge = _MERGE[NUMBER_STATES[state.kind].merge]
            row[:] = merge.reduceat(_event_numbers(state, values, events.time[order]), begins)

    lasts = [_last_values(state, values, events, order, begins) for state in level.lasts]
    sets = [_sketches(state, values, begins) for state in level.sets]
    return Tiles(entity[begins], start[begins], numbers, lasts, sets)


def _run_starts(entity: Integers, start: Integers) -> Integers:
    """Return where each run of one entity and one start begins."""
    if not len(entity):
        return np.empty(0, np.int64)
    changes = (entity[1:] != entity[:-1]) | (start[1:] != start[:-1])
    return np.flatnonzero(np.concatenate([[True], changes]))


def count_mask(state: State, values: pl.DataFrame) -> Mask:
    """Return which events a state counts `(N,)`: its condition holds, its column has a value."""
    mask = np.ones(values.height, bool)
    if state.where is not None:
        mask = parse_condition(state.where, "", values.schema).mask(values).to_numpy()
    if state.of is not None:
        mask &= values[state.of].is_not_null().to_numpy()
    return mask


def _event_numbers(state: State, values: pl.DataFrame, time: Integers) -> Floats:
    """Compute a state of each event by itself `(N,)`."""
    kind = NUMBER_STATES[state.kind]
    numbers = np.zeros(len(time))
    if state.of is not None:
        numbers = values[state.of].cast(pl.Float64).fill_null(0.0).to_numpy() - state.origin
    return np.where(count_mask(state, values), kind.many(numbers, time), kind.identity)


def _last_values(
    state: State, values: pl.DataFrame, events: EntityEvents, order: Integers, begins: Integers
) -> Objects:
    """Find the last value of each tile `(T,)`, as `(time, sequence, value)`."""
    assert state.of is not None
    # The events of a tile are in the order of time: its last one has the greatest number.
    latest = np.where(count_mask(state, values), np.arange(len(order)), -1)
    if len(begins):
        latest = np.maximum.reduceat(latest, begins)

    times = events.time[order[latest]].tolist()
    sequences = events.sequences.gather(order[latest]).to_list()
    column = values[state.of].gather(latest).to_list()
    lasts = np.empty(len(begins), object)
    # A tile without a value has the number -1, which has read any event: its last value is none.
    for at, last in enumerate(zip(times, sequences, column, strict=True)):
        lasts[at] = last if latest[at] >= 0 else None
    return lasts


def _sketches(state: State, values: pl.DataFrame, begins: Integers) -> Objects:
    """Build the sketch of the different values of each tile `(T,)`."""
    assert state.of is not None
    counted = np.flatnonzero(count_mask(state, values))
    hashes = hyperloglog.hash_column(values[state.of].gather(counted))
    tile = np.searchsorted(begins, counted, "right") - 1

    order = np.lexsort((hashes, tile))
    hashes = hashes[order]
    tile = tile[order]

    # Equal hashes of a tile are now neighbours: the first of them is enough.
    is_first = np.ones(len(tile), bool)
    is_first[1:] = (tile[1:] != tile[:-1]) | (hashes[1:] != hashes[:-1])
    hashes = hashes[is_first]
    tile = tile[is_first]

    sketches = np.empty(len(begins), object)
    ends = np.searchsorted(tile, np.arange(len(begins) + 1))
    for at in np.unique(tile).tolist():
        sketches[at] = hyperloglog.from_hashes(hashes[ends[at] : ends[at + 1]])
    return sketches
