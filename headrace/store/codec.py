r"""The bytes of one entity of a group: its tiles of every level, and its open versions.

    head      uint32               the length of the open versions in bytes
              uint32 (levels,)     how many tiles T each level has; then zeros up to a multiple of 8
    levels    starts   int64 (T,)       one block for each level: where each tile begins,
              numbers  float64 (S, T)   and its numbers, one state after the other
    pieces    ends     uint32 (T,)      one block for each level and each last or set: where the
              bytes                     piece of each tile ends, and the pieces
    open      msgpack              the open versions

All numbers are little-endian. Two tiles of a level with one number and one last value; the second
tile has no last value:

    byte  0    4    8       16      24      32      40    44    48
          | 0  | 2  | start | start | count | count | end | end | piece
          \_ head _/\____________ level ___________/\_______ pieces ____

>>> import struct
>>> from headrace.windows import State
>>> level = Level(60, None, numbers=[State("count")], lasts=[State("last", "word")], sets=[])
>>> codec = Codec(Group("clicks", ["user"], ["string"], [level], []))
>>> pieces = [encode_piece((7, 1, "a")), encode_piece(None)]
>>> blob = codec.encode([TileColumns(np.array([0, 60]), np.array([[2.0, 1.0]]), [pieces])], [])
>>> struct.unpack("<2I2q2d2I", blob[:48])
(0, 2, 0, 60, 2.0, 1.0, 5, 5)
>>> blob[48:]
b'\x93\x07\x01\xa1a'

Arrays are read where they lie, without a copy. A tile that is alone in its level, as that of most
stored values is, is read without an array: for a few numbers `struct` is faster than NumPy.
"""

from collections.abc import Sequence
from itertools import pairwise
from struct import Struct as Format
from struct import error as StructError  # noqa: N812 (it is one)
from typing import Any

import msgspec
import numpy as np

from headrace.arrays import Floats, Integers
from headrace.store.layout import Group, Level
from headrace.windows import hyperloglog


class OpenVersion(msgspec.Struct, frozen=True, array_like=True):
    """A version of an event that some later rows count and others do not.

    Rows see it from `visible_from` on, and before `replaced` (microseconds). `values` are those of
    the source, in its order.
    """

    visible_from: int
    replaced: int
    time: int
    sequence: int | str
    values: list[Any]


class TileColumns(msgspec.Struct):
    """The tiles of one level of one entity, to be written.

    `starts (T,)` are sorted, `numbers (S, T)` has a row for each state, and `pieces` has a list for
    each last and each set, with the bytes of each tile.
    """

    starts: Integers
    numbers: Floats
    pieces: list[list[bytes]]


Last = tuple[int, Any, Any]
"""The time, the sequence and the value of the latest event of a tile."""
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
    """The tiles of one level of one entity, read in place.

    There are `count` tiles in `blob`, whose starts begin at byte `at`; `tile` is the format of one
    tile: its start and its numbers.
    """

    __slots__ = ("_at", "_blob", "_pieces", "_tile", "count")

    def __init__(self, blob: bytes, at: int, count: int, tile: Format) -> None:
        self._blob = blob
        self._at = at
        self.count = count
        self._tile = tile
        # Where the pieces of each state begin, and where the last ones end; see `find_pieces`.
        self._pieces: Sequence[int] = ()

    @property
    def starts(self) -> Sequence[int]:
        """The starts of the tiles, in their order (microseconds)."""
        if self.count == 1:
            return self._tile.unpack_from(self._blob, self._at)[:1]
        return memoryview(self._blob)[self._at : self._at + 8 * self.count].cast("q")

    def column(self, at: int) -> Sequence[float]:
        """Read the numbers of one tile."""
        if self.count == 1:
            return self._tile.unpack_from(self._blob, self._at)[1:]
        numbers: list[float] = self.numbers()[:, at].tolist()
        return numbers

    def numbers(self) -> Floats:
        """Read the numbers of all tiles `(S, T)`."""
        begin = self._at + 8 * self.count
        end = self._at + self._tile.size * self.count
        numbers = np.frombuffer(self._blob, np.float64, (end - begin) // 8, begin)
        return numbers.reshape(-1, self.count)

    def pieces(self, state: int) -> list[bytes]:
        """Read the bytes of a last or of a set in each tile."""
        ends, base = self._ends(state)
        return [self._blob[base + begin : base + end] for begin, end in pairwise([0, *ends])]

    def last(self, state: int, first: int) -> Last | None:
        """Read the latest value of the tiles from number `first` on."""
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
        """Read the sketches of a set in the tiles from number `first` on.

        Pieces of hashes that lie side by side are read as one array, for a union does not care
        which tile a hash is of; registers are an array of their own:

            pieces    | hashes | hashes | registers | hashes |
            arrays    |        1        |     2     |    3   |
        """
        ends, base = self._ends(state)
        sketches: list[hyperloglog.Sketch] = []
        begin = end = ends[first - 1] if first else 0
        for at in range(first, self.count):
            before = end
            end = ends[at]
            # Only registers are that long: a piece has at most 511 hashes, 4,088 bytes.
            if end - before == hyperloglog.REGISTERS:
                hashes = self._blob[base + begin : base + before]
                registers = self._blob[base + before : base + end]
                sketches += [np.frombuffer(hashes, np.uint64), np.frombuffer(registers, np.uint8)]
                begin = end
        return [*sketches, np.frombuffer(self._blob[base + begin : base + end], np.uint64)]

    def _ends(self, state: int) -> tuple[memoryview, int]:
        """Read where the piece of each tile ends, and where the first piece begins in the bytes.

        The ends are counted from where the first piece begins.
        """
        at = self._pieces[state]
        base = at + 4 * self.count
        return memoryview(self._blob)[at:base].cast("I"), base

    def find_pieces(self, at: int, states: int) -> int:
        """Find the pieces of some lasts and sets from byte `at` on; return the byte behind them."""
        pieces = [at]
        ends_bytes = 4 * self.count
        for _ in range(states):
            # A level without tiles has no pieces, and no ends either.
            if ends_bytes:
                at += ends_bytes + _END.unpack_from(self._blob, at + ends_bytes - 4)[0]
            pieces.append(at)
        self._pieces = pieces
        return at


class Codec:
    """Encodes and decodes the bytes of the entities of one group."""

    def __init__(self, group: Group) -> None:
        self._head = Format(f"<I{len(group.levels)}I")
        self._head_bytes = (self._head.size + 7) // 8 * 8
        tiles = [Format(f"<q{len(level.numbers)}d") for level in group.levels]
        self._tiles = [(tile, tile.size) for tile in tiles]
        pieces = [_count_pieces(level) for level in group.levels]
        self._pieces = [(at, states) for at, states in enumerate(pieces) if states]

    def decode(self, blob: bytes) -> tuple[list[EntityView], list[OpenVersion]]:
        """Decode the tiles of each level, and the open versions.

        Damaged bytes raise one of `DECODE_ERRORS`, here or when a view is read.
        """
        open_bytes, *counts = self._head.unpack_from(blob)
        at = self._head_bytes
        views = []
        for (tile, size), count in zip(self._tiles, counts, strict=True):
            views.append(EntityView(blob, at, count, tile))
            at += size * count
        for level, states in self._pieces:
            at = views[level].find_pieces(at, states)
        return views, _decode_open(blob[len(blob) - open_bytes :]) if open_bytes else []

    def encode(self, levels: Sequence[TileColumns], opens: list[OpenVersion]) -> bytes:
        """Encode one entity; return no bytes where it has neither tiles nor open versions."""
        opened = _encode(opens) if opens else b""
        counts = [len(level.starts) for level in levels]
        if not opened and not any(counts):
            return b""

        head = self._head.pack(len(opened), *counts)
        parts = [head.ljust(self._head_bytes, b"\0")]
        for level in levels:
            parts += [level.starts.tobytes(), level.numbers.tobytes()]
        for level in levels:
            for pieces in level.pieces:
                ends = np.cumsum([len(piece) for piece in pieces], dtype=np.uint32)
                parts.append(ends.tobytes())
                parts += pieces
        return b"".join([*parts, opened])


def _count_pieces(level: Level) -> int:
    """Count the states of a level that are stored as pieces."""
    return len(level.lasts) + len(level.sets)


def encode_piece(state: Any) -> bytes:
    """Encode a last value or a sketch; none is no bytes."""
    if state is None:
        return b""
    return state.tobytes() if isinstance(state, np.ndarray) else _encode(state)


def decode_sketch(piece: bytes) -> hyperloglog.Sketch:
    """Decode a sketch: registers, which are known by their length, or hashes."""
    if len(piece) == hyperloglog.REGISTERS:
        return np.frombuffer(piece, np.uint8)
    return np.frombuffer(piece, np.uint64)
