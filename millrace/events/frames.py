"""Frames: how records stand in an open file of the log.

A frame is a length, how many records it holds, a checksum, and the records that were appended by one call, as
MessagePack: it is there whole or not at all.
"""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from struct import Struct as Layout
from typing import Any

import msgspec

from millrace.errors import WorkError

TIME_DIGITS = 14
_FRAME = Layout("<III")


class Record(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """One thing that happened: what it is called, when it happened, from when it was known (microseconds since 1970
    UTC), of which kind it is, and what it was, as JSON."""

    id: str
    time: int
    available: int
    kind: str
    payload: bytes


class Packed(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Records of one kind that are told together, and taken apart only when they are read: that costs whoever appends
    next to nothing. An id begins with when it happened and was known (see `moment_of`).

    The payload of each is the JSON object that `head` begins, without its last brace, and of every list in `lists` the
    value that stands at its place. Ids and values come in pieces; one of values is a JSON array or an object around it.

    >>> ids = (["00000000000000a"], ["00000000000007a"])
    >>> packed = Packed(ids, "k", b'{"model":"ads"', {"row": (b'[{"x":1}]', b'{"rows":[{"x":2}]}')})
    >>> moment_of(packed.ids[1][0]), packed.payloads[1]
    (7, b'{"model":"ads","row":{"x":2}}')
    """

    ids: Sequence[list[str]]
    kind: str
    head: bytes
    lists: dict[str, Sequence[bytes]]

    @property
    def payloads(self) -> list[bytes]:
        """Those of the records, one by one."""
        parts: list[Any] = [repeat(self.head)]
        for name, pieces in self.lists.items():
            parts += [repeat(b',"%b":' % name.encode()), chain.from_iterable(map(_values, pieces))]
        return [b"".join((*some, b"}")) for some in zip(*parts, strict=False)]


def moment_of(id: str) -> int:
    """When a packed record happened (microseconds since 1970 UTC): the `TIME_DIGITS` hexadecimal digits that its id
    begins with."""
    return int(id[:TIME_DIGITS], 16)


def _values(piece: bytes) -> list[msgspec.Raw]:
    told = _decode_piece(piece)
    return told if isinstance(told, list) else next(iter(told.values()))


_decode_piece = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, list[msgspec.Raw]]).decode
records_of = msgspec.msgpack.Decoder(list[Record | Packed]).decode
"""The records in the bytes of a frame."""
_encode_into = msgspec.msgpack.Encoder().encode_into
_LIST = Layout(">BI")  # how MessagePack begins a list of up to 2**32 values
_LIST_32 = 0xDD


class Frame:
    """Records that are appended together, encoded as they come: nothing of them is kept but bytes."""

    def __init__(self, records: Iterable[Record | Packed] = ()) -> None:
        self._body, self._told, self.count = bytearray(_LIST.size), 0, 0
        for record in records:
            self.add(record)

    @property
    def size(self) -> int:
        """In bytes, so far."""
        return len(self._body)

    def add(self, record: Record | Packed) -> None:
        """Takes one more."""
        _encode_into(record, self._body, -1)
        self._told += 1
        self.count += sum(map(len, record.ids)) if isinstance(record, Packed) else 1

    def encode(self) -> list[bytes | bytearray]:
        """The frame, in pieces."""
        _LIST.pack_into(self._body, 0, _LIST_32, self._told)
        return [_FRAME.pack(len(self._body), self.count, zlib.crc32(self._body, self.count)), self._body]


def frames_of(path: Path, start: int = 0) -> Iterator[tuple[int, bytes, int]]:
    """The whole frames from an offset on: how many records, their bytes, and the offset of the end.

    The last frame may be torn, where its process was killed. Raises `WorkError` for one that is damaged.
    """
    with path.open("rb") as file:
        file.seek(start)
        end, whole = start, os.fstat(file.fileno()).st_size  # another process may append meanwhile
        while len(begin := file.read(_FRAME.size)) == _FRAME.size:
            at, (size, count, checksum) = end, _FRAME.unpack(begin)
            end = at + _FRAME.size + size
            if end > whole or (not size and not any(begin) and not any(file.read())):  # zeros: power was lost
                return
            body = file.read(size)
            if not size or zlib.crc32(body, count) != checksum:
                if end == whole:
                    return
                raise WorkError(f"{path} at byte {at}", "a damaged record", "the log as it was written")
            yield count, body, end
