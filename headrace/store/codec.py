"""The bytes that stand in the store for one entity of a group: its tiles of every level, and what
is still open.

    open             uint32             bytes of the open versions
    tiles            uint32             how many, for each level; then zeros up to a multiple of 8
    starts, numbers  int64, float64     for each level
    lasts, sets      uint32, bytes      for each level and each state: where the tiles' pieces end, and the pieces
    open             msgpack

Arrays are read where they stand, without a copy; a tile that is alone in its level, as that of most
stored values is, without an array.
"""

from collections.abc import Sequence
from itertools import pairwise
from struct import Struct as Format
from struct import error as StructError  # noqa: N812 (it is one)
from typing import Any

import msgspec
import numpy as np

from headrace.arrays import Floats, Integers
from headrace.store.layout import Group
from headrace.windows import hyperloglog


class OpenVersion(msgspec.Struct, frozen=True, array_like=True):
    """A version of an event whose part in a window depends on when it is read: rows see it from
    `visible_from` on, and before `replaced`. `values` are those of the source, in its order.
    """

    visible_from: int
    replaced: int
    time: int
    sequence: int | str
    values: list[Any]


Last = tuple[int, Any, Any]
DECODE_ERRORS = (
    StructError,
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    MemoryError,
    msgspec.DecodeError,
)
"""Reading damaged bytes raises one of these."""
_END = Format("<I")
_encode = msgspec.msgpack.Encoder().encode
_decode_open = msgspec.msgpack.Decoder(list[OpenVersion]).decode
decode_last = msgspec.msgpack.Decoder(Last).decode


class EntityView:
    """The tiles of one level of one entity, where they stand: `count` of them, their `starts (T,)`,
    and their `numbers`, one state after the other.
    """

    __slots__ = ("_at", "_blob", "_one", "_pieces", "count")

    def __init__(self, blob: bytes, at: int, count: int, one: Format) -> None:
        self._blob, self._at, self.count, self._one = blob, at, count, one
        self._pieces: Sequence[
            int
        ] = ()  # where those of each state begin, and where the last ones end

    @property
    def starts(self) -> Sequence[int]:
        """Where the tiles begin, in their order."""
        if self.count == 1:
            return self._one.unpack_from(self._blob, self._at)[:1]
        return memoryview(self._blob)[self._at : self._at + 8 * self.count].cast("q")

    def column(self, at: int) -> Sequence[float]:
        """The numbers of one tile."""
        if self.count == 1:
            return self._one.unpack_from(self._blob, self._at)[1:]
        numbers: list[float] = self.numbers()[:, at].tolist()
        return numbers

    def numbers(self) -> Floats:
        """The numbers `(S, T)`."""
        begin, end = self._at + 8 * self.count, self._at + self._one.size * self.count
        return np.frombuffer(self._blob, np.float64, (end - begin) // 8, begin).reshape(
            -1, self.count
        )

    def pieces(self, state: int) -> list[bytes]:
        """The bytes of a last or a set of each tile."""
        ends, base = self._ends(state)
        return [self._blob[base + begin : base + end] for begin, end in pairwise([0, *ends])]

    def last(self, state: int, first: int) -> Last | None:
        """The latest value of the tiles from one on, with its time and place."""
        if self.count == 1:
            piece = self._blob[self._pieces[state] + 4 : self._pieces[state + 1]]
            return decode_last(piece) if piece else None
        ends, base = self._ends(state)
        for at in range(self.count - 1, first - 1, -1):
            begin = ends[at - 1] if at else 0
            if ends[at] > begin:
                last: Last = decode_last(self._blob[base + begin : base + ends[at]])
                return last
        return None

    def sketches(self, state: int, first: int) -> list[hyperloglog.Sketch]:
        """The sets of the tiles from one on; hashes of neighbours come as one array."""
        ends, base = self._ends(state)
        found: list[hyperloglog.Sketch] = []
        begin = end = ends[first - 1] if first else 0
        for at in range(first, self.count):
            before, end = end, ends[at]
            if end - before == hyperloglog.REGISTERS:
                hashes, registers = (
                    self._blob[base + begin : base + before],
                    self._blob[base + before : base + end],
                )
                found += [np.frombuffer(hashes, np.uint64), np.frombuffer(registers, np.uint8)]
                begin = end
        return [*found, np.frombuffer(self._blob[base + begin : base + end], np.uint64)]

    def _ends(self, state: int) -> tuple[memoryview, int]:
        """Where the pieces of a last or a set end, counted from where the first begins."""
        at = self._pieces[state]
        base = at + 4 * self.count
        return memoryview(self._blob)[at:base].cast("I"), base

    def find_pieces(self, at: int, states: int) -> int:
        """Finds the pieces of its states from a place on; returns the place behind them."""
        pieces, ends = [at], 4 * self.count
        for _ in range(states):
            if ends:
                at += ends + _END.unpack_from(self._blob, at + ends - 4)[0]
            pieces.append(at)
        self._pieces = pieces
        return at


class Codec:
    """How the bytes of a group are read and written."""

    def __init__(self, group: Group) -> None:
        self._head = Format(f"<I{len(group.levels)}I")
        self._size = (self._head.size + 7) // 8 * 8
        tiles = [Format(f"<q{len(level.numbers)}d") for level in group.levels]
        self._tiles = [(tile, tile.size) for tile in tiles]
        pieces = [len(level.lasts) + len(level.sets) for level in group.levels]
        self._pieces = [(at, states) for at, states in enumerate(pieces) if states]

    def decode(self, blob: bytes) -> tuple[list[EntityView], list[OpenVersion]]:
        """The tiles of each level, and the open versions."""
        opened, *counts = self._head.unpack_from(blob)
        at, views = self._size, []
        for (tile, size), count in zip(self._tiles, counts, strict=True):
            views.append(EntityView(blob, at, count, tile))
            at += size * count
        for level, states in self._pieces:
            at = views[level].find_pieces(at, states)
        return views, _decode_open(blob[len(blob) - opened :]) if opened else []

    def encode(self, levels: Sequence["TileColumns"], opens: list[OpenVersion]) -> bytes:
        """The bytes of one entity; none where nothing is left of it."""
        opened = _encode(opens) if opens else b""
        if not opened and not any(len(level.starts) for level in levels):
            return b""
        parts = [
            self._head.pack(len(opened), *(len(level.starts) for level in levels)).ljust(
                self._size, b"\0"
            )
        ]
        for level in levels:
            parts += [level.starts.tobytes(), level.numbers.tobytes()]
        for level in levels:
            for pieces in level.pieces:
                parts.append(np.cumsum([len(one) for one in pieces], dtype=np.uint32).tobytes())
                parts += pieces
        return b"".join([*parts, opened])


class TileColumns(msgspec.Struct):
    """The tiles of one level of one entity, to be written: `starts (T,)` in their order, `numbers
    (S, T)`, and for each last and each set the bytes of each tile.
    """

    starts: Integers
    numbers: Floats
    pieces: list[list[bytes]]


def encode_piece(state: Any) -> bytes:
    """The bytes of a last or of a sketch."""
    if state is None:
        return b""
    return state.tobytes() if isinstance(state, np.ndarray) else _encode(state)


def decode_sketch(piece: bytes) -> hyperloglog.Sketch:
    """The sketch that stands in bytes."""
    if len(piece) == hyperloglog.REGISTERS:
        return np.frombuffer(piece, np.uint8)
    return np.frombuffer(piece, np.uint64)
