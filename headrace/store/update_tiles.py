"""Changes the tiles of one entity: some are removed, some grow, old ones expire, the rest stays.

tiles before     | 0 | 5 | 10 | 15 |           hop 5
update           horizon 25, read 15 back      the tiles before 10 expire
                 rebuilt 15                    this tile begins from nothing
                 events at 16, 21              merged into the tiles of 15 and 20
tiles after              | 10 | 15 | 20 |
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.store.accumulator import Accumulator, States, pick_later
from headrace.store.codec import EntityView, TileColumns, decode_last, decode_sketch, encode_piece
from headrace.store.layout import EventSource, Level
from headrace.windows import hyperloglog
from headrace.windows.aggregates import NUMBER_STATES
from headrace.windows.states import MERGE

Event = tuple[int, Any, list[Any]]
"""The time, the sequence and the values of an event."""


class TileUpdater:
    """Updates the tiles of one level."""

    def __init__(self, level: Level, source: EventSource) -> None:
        self.level = level
        self._accumulator = Accumulator(level, source)
        self._merges = [MERGE[NUMBER_STATES[state.kind].merge] for state in level.numbers]

    def start_of(self, time: int) -> int:
        """Return the start of the tile of a time."""
        return time // self.level.hop * self.level.hop

    def update(
        self, view: EntityView | None, rebuilt: set[int], events: Iterable[Event], horizon: int
    ) -> TileColumns:
        """Return the tiles of an entity with further events.

        Parameters: `view`, its tiles so far; `rebuilt`, the starts of tiles that begin from
        nothing; `horizon`: tiles that no row then or later reads expire.
        """
        # Events of one tile are added up first, so that each tile is merged and encoded once.
        patches: dict[int, States] = {}
        for time, sequence, values in events:
            start = time // self.level.hop * self.level.hop
            states = patches.get(start)
            if states is None:
                states = patches[start] = self._accumulator.empty()
            self._accumulator.add(states, time, sequence, values)

        oldest = self.level.least_start(horizon)
        tiles = self._copy_tiles(view, rebuilt, oldest)
        for start in sorted(patches):
            if oldest is None or start >= oldest:
                self._merge_patch(tiles, start, patches[start])
        return tiles

    def _copy_tiles(
        self, view: EntityView | None, rebuilt: set[int], oldest: int | None
    ) -> TileColumns:
        """Copy the tiles from the oldest on, but for those that begin from nothing."""
        height = len(self.level.numbers)
        piece_states = len(self.level.lasts) + len(self.level.sets)
        if view is None or not view.count:
            pieces: list[list[bytes]] = [[] for _ in range(piece_states)]
            return TileColumns(np.empty(0, np.int64), np.empty((height, 0)), pieces)

        first = 0 if oldest is None else bisect_left(view.starts, oldest)
        starts = np.array(view.starts[first:], np.int64)
        numbers = view.numbers()[:, first:].copy()
        pieces = [view.pieces(state)[first:] for state in range(piece_states)]
        if rebuilt:
            mask = ~np.isin(starts, list(rebuilt))
            starts = starts[mask]
            numbers = numbers[:, mask]
            pieces = [_select(column, mask.tolist()) for column in pieces]
        return TileColumns(starts, numbers, pieces)

    def _merge_patch(self, tiles: TileColumns, start: int, states: States) -> None:
        """Merge states into the tile from `start`, or insert a tile where there is none."""
        height = len(self.level.numbers)
        lasts_end = height + len(self.level.lasts)
        numbers = states[:height]
        lasts = states[height:lasts_end]
        sets = states[lasts_end:]

        last_columns = tiles.pieces[: len(lasts)]
        set_columns = tiles.pieces[len(lasts) :]
        at = int(tiles.starts.searchsorted(start))

        if at < len(tiles.starts) and tiles.starts[at] == start:
            # `MERGE` takes Python's floats, which for a few are faster than arrays.
            old = tiles.numbers[:, at].tolist()
            tiles.numbers[:, at] = [
                merge(*pair) for merge, *pair in zip(self._merges, old, numbers, strict=True)
            ]
            for column, last in zip(last_columns, lasts, strict=True):
                before = decode_last(column[at]) if column[at] else None
                column[at] = encode_piece(pick_later(before, last))
            for column, hashes in zip(set_columns, sets, strict=True):
                column[at] = encode_piece(_add_hashes(decode_sketch(column[at]), hashes))
            return

        tiles.starts = _insert(tiles.starts, at, start)
        tiles.numbers = _insert(tiles.numbers, at, np.array(numbers))
        for column, last in zip(last_columns, lasts, strict=True):
            column.insert(at, encode_piece(last))
        for column, hashes in zip(set_columns, sets, strict=True):
            column.insert(at, encode_piece(_add_hashes(decode_sketch(b""), hashes)))


def _select(pieces: list[bytes], mask: list[bool]) -> list[bytes]:
    return [piece for piece, is_selected in zip(pieces, mask, strict=True) if is_selected]


def _add_hashes(sketch: hyperloglog.Sketch, hashes: set[int]) -> hyperloglog.Sketch:
    """Return the sketch with further hashes."""
    if not hashes:
        return sketch
    added = hyperloglog.from_hashes(np.array(sorted(hashes), np.uint64))
    return hyperloglog.union(sketch, added)


def _insert(array: npt.NDArray[Any], at: int, value: Any) -> npt.NDArray[Any]:
    """Insert a value into the last dimension; `np.insert` takes several times as long."""
    longer = np.empty((*array.shape[:-1], array.shape[-1] + 1), array.dtype)
    longer[..., :at] = array[..., :at]
    longer[..., at] = value
    longer[..., at + 1 :] = array[..., at:]
    return longer
