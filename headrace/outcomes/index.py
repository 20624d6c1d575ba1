"""An index of recent predictions: from their ids, or the ids of their rows, to their units.

    chunk   time, process      in this order
            exposed, phase, place, score, label
            row keys           in their own order, each with its place in the chunk

Small chunks are merged, so that there are few to look into. One that is full goes to a file without
a name, which is mapped: what is looked up is in memory, and an outcome may come weeks later. A
chunk is let go once no outcome of its predictions can come in time any more.
"""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from headrace.arrays import Floats, Hashes, Integers

_ABSENT = -1
_FULL = 1 << 18


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
    """Predictions in the order of their ids, and the rows of them that have a key.

    `label` is a code, `_ABSENT` for none; `row_keys` are sorted, and `row_places` says where in the
    chunk each of them is.
    """

    time: Integers
    exposed_us: Integers
    score: Floats
    process: Integers
    phase: Integers
    place: Integers
    label: Integers
    row_keys: Hashes
    row_places: Integers

    @property
    def last_us(self) -> int:
        """The time of the last prediction."""
        return int(self.time[-1])


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
    """The recent predictions of one phase or of several.

    Parameters: `folder`, where full chunks are held; without one, or where its disk refuses, they
    stay in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._chunks: list[_Chunk] = []
        self._labels: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(len(chunk.time) for chunk in self._chunks)

    def add(self, predictions: Predictions) -> None:
        """Add predictions as they were logged."""
        if not len(predictions.time):
            return
        keyed = np.flatnonzero(predictions.row_key)
        # Numbers that fit into 32 bits take half of the memory.
        chunk = _Chunk(
            time=predictions.time,
            exposed_us=predictions.exposed_us,
            score=predictions.score,
            process=predictions.process.astype(np.uint32),
            phase=predictions.phase.astype(np.uint32),
            place=predictions.place.astype(np.uint32),
            label=self._encode(predictions.label),
            row_keys=predictions.row_key[keyed],
            row_places=keyed.astype(np.uint32),
        )
        chunks = self._chunks
        chunks.append(_put_in_order(chunk))
        while len(chunks) > 1 and len(chunks[-2].time) < min(2 * len(chunks[-1].time), _FULL):
            later, earlier = chunks.pop(), chunks.pop()
            chunks.append(_merge(earlier, later))
        if len(chunks[-1].time) >= _FULL and self._folder is not None:
            with suppress(OSError):
                chunks[-1] = _map(chunks[-1], self._folder)

    def _encode(self, labels: pl.Series) -> Integers:
        """Return the codes of labels."""
        if labels.null_count() == len(labels):
            return np.full(len(labels), _ABSENT, np.int32)
        for label in labels.drop_nulls().unique(maintain_order=True).to_list():
            self._labels.setdefault(label, len(self._labels))
        codes = labels.replace_strict(self._labels, default=_ABSENT, return_dtype=pl.Int32)
        return codes.to_numpy()

    def drop_before(self, moment_us: int) -> None:
        """Let go of chunks all of whose predictions were made before a moment."""
        self._chunks = [chunk for chunk in self._chunks if chunk.last_us >= moment_us]

    def find(self, time: Integers, process: Integers) -> Found:
        """Find predictions by the time and the process in their ids."""
        found = _Search(len(time))
        for chunk in self._chunks:
            near = np.flatnonzero((time >= chunk.time[0]) & (time <= chunk.last_us))
            if not len(near):
                continue
            at = np.searchsorted(chunk.time, time[near], side="left")
            end = np.searchsorted(chunk.time, time[near], side="right")
            # Several processes may have made a prediction in the same microsecond.
            while True:
                open_ = at < end
                if not open_.any():
                    break
                near, at, end = near[open_], at[open_], end[open_]
                same = chunk.process[at] == process[near]
                found.fill(near[same], chunk, at[same])
                near, at, end = near[~same], at[~same] + 1, end[~same]
        return found.name(list(self._labels))

    def find_rows(self, row_key: Hashes, arrived_us: Integers) -> Found:
        """Find the last prediction of each row before its outcome arrived, by the row's key."""
        found = _Search(len(row_key))
        for chunk in self._chunks:
            open_ = np.flatnonzero(found.time <= chunk.last_us)
            # The order of equal keys is that of time: the last one is the latest.
            at = np.searchsorted(chunk.row_keys, row_key[open_], side="right") - 1
            while True:
                same = at >= 0
                same[same] = chunk.row_keys[at[same]] == row_key[open_[same]]
                open_, at = open_[same], at[same]
                if not len(open_):
                    break
                places = chunk.row_places[at]
                before = chunk.time[places] <= arrived_us[open_]
                found.fill_later(open_[before], chunk, places[before])
                open_, at = open_[~before], at[~before] - 1
        return found.name(list(self._labels))


class _Search:
    """Collects what is known of ids, chunk by chunk; a label is a code."""

    def __init__(self, count: int) -> None:
        self.time = np.zeros(count, np.int64)
        self._process = np.zeros(count, np.int64)
        self._exposed_us = np.zeros(count, np.int64)
        self._phase = np.zeros(count, np.int64)
        self._place = np.full(count, _ABSENT, np.int64)
        self._score = np.full(count, np.nan)
        self._label = np.full(count, _ABSENT, np.int32)

    def fill(self, where: Integers, chunk: _Chunk, at: Integers) -> None:
        """Fill in predictions of a chunk."""
        self.time[where] = chunk.time[at]
        self._process[where] = chunk.process[at]
        self._exposed_us[where] = chunk.exposed_us[at]
        self._phase[where] = chunk.phase[at]
        self._place[where] = chunk.place[at]
        self._score[where] = chunk.score[at]
        self._label[where] = chunk.label[at]

    def fill_later(self, where: Integers, chunk: _Chunk, at: Integers) -> None:
        """Fill in predictions of a chunk where they are later than what was found so far."""
        time, process = chunk.time[at], chunk.process[at]
        later = time > self.time[where]
        later |= (time == self.time[where]) & (process > self._process[where])
        self.fill(where[later], chunk, at[later])

    def name(self, labels: list[str]) -> Found:
        """Return what was found, with the labels of the codes."""
        return Found(
            self.time,
            self._process,
            self._exposed_us,
            self._phase,
            self._place,
            self._score,
            [None if code == _ABSENT else labels[code] for code in self._label.tolist()],
        )


def _merge(earlier: _Chunk, later: _Chunk) -> _Chunk:
    """Merge two chunks."""
    columns = {
        name: np.concatenate([getattr(earlier, name), getattr(later, name)])
        for name in _Chunk._fields
    }
    columns["row_places"][len(earlier.row_places) :] += len(earlier.time)
    return _put_in_order(_Chunk(**columns))


def _put_in_order(chunk: _Chunk) -> _Chunk:
    """Order predictions by time and process, and the keys of their rows with them."""
    steps = np.diff(chunk.time)
    if (steps <= 0).any():
        order = np.lexsort((chunk.process, chunk.time))
        places: Any = np.empty(len(order), np.uint32)
        places[order] = np.arange(len(order), dtype=np.uint32)
        chunk = chunk._replace(
            time=chunk.time[order],
            exposed_us=chunk.exposed_us[order],
            score=chunk.score[order],
            process=chunk.process[order],
            phase=chunk.phase[order],
            place=chunk.place[order],
            label=chunk.label[order],
            row_places=places[chunk.row_places],
        )
    if not len(chunk.row_keys):
        return chunk
    by_key = np.lexsort((chunk.row_places, chunk.row_keys))
    return chunk._replace(
        row_keys=chunk.row_keys[by_key],
        row_places=chunk.row_places[by_key],
    )


def _map(chunk: _Chunk, folder: Path) -> _Chunk:
    """Write a chunk to a file that ends with this process, and map it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        for column in chunk:
            file.write(np.ascontiguousarray(column).data)
        file.flush()
        mapped: list[Any] = []
        offset = 0
        for column in chunk:
            empty = not len(column)
            mapped.append(
                column
                if empty
                else np.memmap(file, column.dtype, "r", offset=offset, shape=column.shape)
            )
            offset += column.nbytes
    return _Chunk(*mapped)
