"""An index of recent predictions: from their ids, or the ids of their rows, to their units.

Predictions are held in chunks as they were logged, in order of time. A chunk is let go once no
outcome of its predictions can come in time any more.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from headrace.arrays import Floats, Hashes, Integers

_ABSENT = -1
_NO_ROWS = np.zeros(0, np.uint64)


class Predictions(NamedTuple):
    """Predictions `(N,)`: when, in which process, of which unit, and what they said.

    `time` and `process` are those in the id, `exposed_us` the time that counts, `place` that of the
    unit in its `phase`, `score` the prediction as a number, `label` as a text, and `row_key` a hash
    of the id of the row, 0 where it has none.
    """

    time: Integers
    process: Integers
    exposed_us: Integers
    phase: Integers
    place: Integers
    score: Floats
    label: pl.Series
    row_key: Hashes


class _Chunk(NamedTuple):
    predictions: Predictions
    first_us: int
    last_us: int
    by_row: Integers | None


class Found(NamedTuple):
    """What an index knows of ids `(N,)`; `place` is -1 for those that it does not know."""

    time: Integers
    process: Integers
    exposed_us: Integers
    phase: Integers
    place: Integers
    score: Floats
    label: list[str | None]


class PredictionIndex:
    """The recent predictions of one phase or of several."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []

    def __len__(self) -> int:
        return sum(len(chunk.predictions.time) for chunk in self._chunks)

    def add(self, predictions: Predictions) -> None:
        """Add predictions as they were logged."""
        if not len(predictions.time):
            return
        order = np.lexsort((predictions.process, predictions.time))
        has_rows = bool(predictions.row_key.any())
        # Half of the memory: numbers that fit into 32 bits, and nothing for rows without ids.
        ordered = Predictions(
            predictions.time[order],
            predictions.process[order].astype(np.uint32),
            predictions.exposed_us[order],
            predictions.phase[order].astype(np.uint32),
            predictions.place[order].astype(np.uint32),
            predictions.score[order],
            predictions.label[order],
            predictions.row_key[order] if has_rows else _NO_ROWS,
        )
        by_row = np.argsort(ordered.row_key, kind="stable") if has_rows else None
        first, last = int(ordered.time[0]), int(ordered.time[-1])
        self._chunks.append(_Chunk(ordered, first, last, by_row))

    def drop_before(self, moment_us: int) -> None:
        """Let go of chunks all of whose predictions were made before a moment."""
        self._chunks = [chunk for chunk in self._chunks if chunk.last_us >= moment_us]

    def find(self, time: Integers, process: Integers) -> Found:
        """Find predictions by the time and the process in their ids."""
        found = _empty(len(time))
        for chunk in self._chunks:
            near = np.flatnonzero((time >= chunk.first_us) & (time <= chunk.last_us))
            if not len(near):
                continue
            known = chunk.predictions
            at = np.searchsorted(known.time, time[near], side="left")
            end = np.searchsorted(known.time, time[near], side="right")
            # Several processes may have made a prediction in the same microsecond.
            while True:
                open_ = at < end
                if not open_.any():
                    break
                near, at, end = near[open_], at[open_], end[open_]
                same = known.process[at] == process[near]
                _fill(found, near[same], known, at[same])
                near, at, end = near[~same], at[~same] + 1, end[~same]
        return found

    def find_rows(self, row_key: Hashes, arrived_us: Integers) -> Found:
        """Find the last prediction of each row before its outcome arrived, by the row's key."""
        found = _empty(len(row_key))
        for chunk in reversed(self._chunks):
            lacking = np.flatnonzero(found.place == _ABSENT)
            if chunk.by_row is None or not len(lacking):
                continue
            known = chunk.predictions
            keys = known.row_key[chunk.by_row]
            # The order is stable: of equal keys the last one is the latest.
            at = np.searchsorted(keys, row_key[lacking], side="right") - 1
            while True:
                same = (at >= 0) & (keys[np.maximum(at, 0)] == row_key[lacking])
                lacking, at = lacking[same], at[same]
                if not len(lacking):
                    break
                place = chunk.by_row[at]
                before = known.time[place] <= arrived_us[lacking]
                _fill(found, lacking[before], known, place[before])
                lacking, at = lacking[~before], at[~before] - 1
        return found


def _empty(count: int) -> Found:
    return Found(
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.full(count, _ABSENT, np.int64),
        np.full(count, np.nan),
        [None] * count,
    )


def _fill(found: Found, where: Integers, known: Predictions, at: Integers) -> None:
    found.time[where] = known.time[at]
    found.process[where] = known.process[at]
    found.exposed_us[where] = known.exposed_us[at]
    found.phase[where] = known.phase[at]
    found.place[where] = known.place[at]
    found.score[where] = known.score[at]
    if known.label.null_count() < len(known.label):
        for place, label in zip(where.tolist(), known.label[at].to_list(), strict=True):
            found.label[place] = label
