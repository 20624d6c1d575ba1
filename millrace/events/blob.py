"""The bytes that stand in the store for one entity of a group: its tiles of every level, and what is still open.

    open             uint32             bytes of the open versions
    tiles            uint32             how many, for each level; then zeros up to a multiple of 8
    starts, numbers  int64, float64     for each level
    lasts, sets      uint32, bytes      for each level and each state: where the tiles' pieces end, and the pieces
    open             msgpack

Arrays are read where they stand, without a copy.
"""

from collections.abc import Callable
from itertools import pairwise
from struct import Struct as Format
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from millrace.events import sketch
from millrace.events.layout import Group, Level
from millrace.events.tiles import Integers, Objects, Tiles


class Open(msgspec.Struct, frozen=True, array_like=True):
    """A version of an event whose part in a window depends on when it is read: rows see it from `known` on, and before
    `replaced`. `values` are those of the source, in its order."""

    known: int
    replaced: int
    time: int
    place: int | str
    values: list[Any]


_encode = msgspec.msgpack.Encoder().encode
_decode_open = msgspec.msgpack.Decoder(list[Open]).decode
_decode_last = msgspec.msgpack.Decoder(tuple[int, Any, Any]).decode


class View:
    """The tiles of one level of one entity, where they stand: `starts (T,)` and `numbers (S, T)`."""

    __slots__ = ("at", "blob", "count", "numbers", "starts")

    def __init__(self, blob: bytes, count: int, starts: Integers, numbers: npt.NDArray[np.float64]) -> None:
        self.blob, self.count, self.starts, self.numbers = blob, count, starts, numbers
        self.at: list[int] = []

    def pieces(self, state: int) -> list[bytes]:
        """The bytes of a last or a set of each tile."""
        ends, base = self._ends(state)
        return [self.blob[base + begin : base + end] for begin, end in pairwise([0, *ends])]

    def last(self, state: int, first: int) -> tuple[int, Any, Any] | None:
        """The latest value of the tiles from one on, with its time and place."""
        ends, base = self._ends(state)
        for at in range(self.count - 1, first - 1, -1):
            begin = ends[at - 1] if at else 0
            if ends[at] > begin:
                return _decode_last(self.blob[base + begin : base + ends[at]])
        return None

    def sketches(self, state: int, first: int) -> list[sketch.Sketch]:
        """The sets of the tiles from one on; hashes of neighbours come as one array."""
        ends, base = self._ends(state)
        found: list[sketch.Sketch] = []
        begin = end = ends[first - 1] if first else 0
        for at in range(first, self.count):
            before, end = end, ends[at]
            if end - before == sketch.REGISTERS:
                found += [_sketch(self.blob[base + one : base + two]) for one, two in ((begin, before), (before, end))]
                begin = end
        return [*found, np.frombuffer(self.blob[base + begin : base + end], np.uint64)]

    def _ends(self, state: int) -> tuple[list[int], int]:
        """Where the pieces of a last or a set end, counted from where the first begins."""
        at = self.at[state]
        return np.frombuffer(self.blob, np.uint32, self.count, at).tolist(), at + 4 * self.count


class Form:
    """How the bytes of a group are read and written."""

    def __init__(self, group: Group) -> None:
        self.levels = group.levels
        self._head = Format(f"<I{len(group.levels)}I")
        self._size = (self._head.size + 7) // 8 * 8

    def read(self, blob: bytes) -> tuple[list[View], list[Open]]:
        """The tiles of each level, and the open versions."""
        opened, *counts = self._head.unpack_from(blob)
        at, views = self._size, []
        for level, count in zip(self.levels, counts, strict=True):
            height = len(level.numbers)
            starts = np.frombuffer(blob, np.int64, count, at)
            numbers = np.frombuffer(blob, np.float64, count * height, at + 8 * count).reshape(height, count)
            views.append(View(blob, count, starts, numbers))
            at += 8 * count * (1 + height)
        for view, level in zip(views, self.levels, strict=True):
            for _ in range(len(level.lasts) + len(level.sets)):
                view.at.append(at)
                at += 4 * view.count
                at += int.from_bytes(blob[at - 4 : at], "little") if view.count else 0
        return views, _decode_open(blob[-opened:]) if opened else []

    def read_many(self, blobs: list[bytes | None]) -> tuple[list[list[Tiles]], dict[int, list[Open]]]:
        """The tiles of some entities for each level, and their open versions; entities are numbered as they stand."""
        tiles: list[list[Tiles]] = [[] for _ in self.levels]
        opens: dict[int, list[Open]] = {}
        for entity, blob in enumerate(blobs):
            if blob is None:
                continue
            views, opens[entity] = self.read(blob)
            for found, view, level in zip(tiles, views, self.levels, strict=True):
                each = [_objects(list(map(decode, view.pieces(at)))) for at, decode in enumerate(_decoders(level))]
                lasts, sets = each[: len(level.lasts)], each[len(level.lasts) :]
                found.append(Tiles(np.full(view.count, entity), view.starts, view.numbers, lasts, sets))
        return tiles, opens

    def write_many(self, tiles: list[Tiles], opens: dict[int, list[Open]], entities: int) -> list[bytes]:
        """The bytes of each entity; none for one of which nothing is left."""
        ends = [np.searchsorted(some.entity, np.arange(entities + 1)).tolist() for some in tiles]
        pieces = [[[_piece(one) for one in column] for column in (*some.lasts, *some.sets)] for some in tiles]
        made = []
        for entity in range(entities):
            opened = _encode(opens[entity]) if opens.get(entity) else b""
            bounds = [(end[entity], end[entity + 1]) for end in ends]
            counts = [high - low for low, high in bounds]
            if not opened and not any(counts):
                made.append(b"")
                continue
            parts = [self._head.pack(len(opened), *counts).ljust(self._size, b"\0")]
            for some, (low, high) in zip(tiles, bounds, strict=True):
                parts += [some.start[low:high].tobytes(), some.numbers[:, low:high].tobytes()]
            for columns, (low, high) in zip(pieces, bounds, strict=True):
                for column in columns:
                    parts += [np.cumsum([len(one) for one in column[low:high]], dtype=np.uint32).tobytes()]
                    parts += column[low:high]
            made.append(b"".join([*parts, opened]))
        return made


def _decoders(level: Level) -> list[Callable[[bytes], Any]]:
    return [lambda piece: _decode_last(piece) if piece else None for _ in level.lasts] + [
        lambda piece: _sketch(piece) if piece else None for _ in level.sets
    ]


def _piece(state: Any) -> bytes:
    if state is None:
        return b""
    return state.tobytes() if isinstance(state, np.ndarray) else _encode(state)


def _sketch(piece: bytes) -> sketch.Sketch:
    dense = len(piece) == sketch.REGISTERS
    return np.frombuffer(piece, np.uint8) if dense else np.frombuffer(piece, np.uint64)


def _objects(states: list[Any]) -> Objects:
    found = np.empty(len(states), object)
    for at, state in enumerate(states):
        found[at] = state
    return found
