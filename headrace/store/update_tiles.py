"""Changing the tiles of one entity: tiles go, tiles are added to, old ones expire; the rest is left as it is."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.store.accumulator import Accumulator, States, later
from headrace.store.codec import EntityView, TileColumns, decode_last, decode_sketch, encode_piece
from headrace.store.layout import EventSource, Level
from headrace.windows import hyperloglog
from headrace.windows.aggregates import NUMBER_STATES
from headrace.windows.states import MERGE

Event = tuple[int, Any, list[Any]]
"""The time, the place and the values of an event."""


class TileUpdater:
    """Edits tiles of one level."""

    def __init__(self, level: Level, source: EventSource) -> None:
        self.level, self._accumulator = level, Accumulator(level, source)
        self._merge = [MERGE[NUMBER_STATES[state.kind].merge] for state in level.numbers]

    def start_of(self, time: int) -> int:
        """Where the tile of a time begins."""
        return time // self.level.hop * self.level.hop

    def update(
        self, view: EntityView | None, anew: set[int], events: Iterable[Event], horizon: int
    ) -> TileColumns:
        """The tiles of an entity without those that start at `anew`, with events, and without what
        no row at the horizon or later reads.
        """
        patch: dict[int, States] = {}
        for time, place, values in events:
            start = time // self.level.hop * self.level.hop
            states = patch.get(start)
            if states is None:
                states = patch[start] = self._accumulator.empty()
            self._accumulator.add(states, time, place, values)
        oldest = self.level.least_start(horizon)
        made = self._kept(view, anew, oldest)
        for start in sorted(patch):
            if oldest is None or start >= oldest:
                self._put(made, start, patch[start])
        return made

    def _kept(self, view: EntityView | None, anew: set[int], oldest: int | None) -> TileColumns:
        height, pieces = len(self.level.numbers), len(self.level.lasts) + len(self.level.sets)
        if view is None or not view.count:
            return TileColumns(
                np.empty(0, np.int64), np.empty((height, 0)), [[] for _ in range(pieces)]
            )
        first = 0 if oldest is None else bisect_left(view.starts, oldest)
        starts, numbers = np.array(view.starts[first:], np.int64), view.numbers()[:, first:].copy()
        columns = [view.pieces(state)[first:] for state in range(pieces)]
        if anew:
            kept = ~np.isin(starts, list(anew))
            starts, numbers = starts[kept], numbers[:, kept]
            columns = [
                [one for one, keep in zip(column, kept.tolist(), strict=True) if keep]
                for column in columns
            ]
        return TileColumns(starts, numbers, columns)

    def _put(self, made: TileColumns, start: int, states: States) -> None:
        """Merges the states of a tile."""
        height, lasts = len(self.level.numbers), len(self.level.lasts)
        at = int(made.starts.searchsorted(start))
        if at < len(made.starts) and made.starts[at] == start:
            old = made.numbers[:, at].tolist()
            made.numbers[:, at] = [
                merge(*two) for merge, *two in zip(self._merge, old, states[:height], strict=True)
            ]
            for column, state in zip(
                made.pieces[:lasts], states[height : height + lasts], strict=True
            ):
                column[at] = encode_piece(
                    later(decode_last(column[at]) if column[at] else None, state)
                )
            for column, state in zip(made.pieces[lasts:], states[height + lasts :], strict=True):
                column[at] = encode_piece(_joined(decode_sketch(column[at]), state))
            return
        made.starts = _with(made.starts, at, start)
        made.numbers = _with(made.numbers, at, np.array(states[:height]))
        for column, state in zip(made.pieces[:lasts], states[height : height + lasts], strict=True):
            column.insert(at, encode_piece(state))
        for column, state in zip(made.pieces[lasts:], states[height + lasts :], strict=True):
            column.insert(at, encode_piece(_joined(decode_sketch(b""), state)))


def _joined(kept: hyperloglog.Sketch, hashes: set[int]) -> hyperloglog.Sketch:
    return (
        hyperloglog.union(kept, hyperloglog.from_hashes(np.array(sorted(hashes), np.uint64)))
        if hashes
        else kept
    )


def _with(array: npt.NDArray[Any], at: int, value: Any) -> npt.NDArray[Any]:
    """An array with a further value in its last dimension."""
    made = np.empty((*array.shape[:-1], array.shape[-1] + 1), array.dtype)
    made[..., :at], made[..., at], made[..., at + 1 :] = array[..., :at], value, array[..., at:]
    return made
