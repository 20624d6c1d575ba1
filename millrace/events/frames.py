"""Frames: how records stand in an open file of the log.

A frame is a length, how many records it holds, a checksum, and the records that were appended by one call, as
MessagePack: it is there whole or not at all.
"""

import os
import zlib
from collections.abc import Iterable, Iterator
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
    """Records of one kind that came in pieces, and are taken apart only when they are read: that costs whoever appends
    next to nothing.

    Of each piece there is the id of its first record: it begins with when that happened and was known (see
    `moment_of`), and the others follow a microsecond apart. The payload of a record is the JSON object that `head`
    begins, without its last brace, and under each name its value. `values` is one JSON array: for every piece, for each
    name, an array of the values of its records, or an object around one.

    >>> values = b'[[{"x":1}],{"rows":[{"x":2},{"x":3}]}]'
    >>> packed = Packed(3, "k", b'{"model":"ads"', ["row"], ["00000000000000-a", "00000000000007-a"], values)
    >>> ids, payloads = packed.apart()
    >>> ids[1:], payloads[2]
    (['00000000000007-a', '00000000000008-a'], b'{"model":"ads","row":{"x":3}}')
    """

    count: int
    kind: str
    head: bytes
    names: list[str]
    firsts: list[str]
    values: bytes

    def apart(self) -> tuple[list[str], list[bytes]]:
        """The ids and the payloads of the records."""
        pieces = [one if isinstance(one, list) else next(iter(one.values())) for one in _decode_values(self.values)]
        width = len(self.names)
        pairs = zip(self.firsts, pieces[::width], strict=True)
        ids = [id for first, piece in pairs for id in ids_from(first, len(piece))]
        parts: list[Any] = [repeat(self.head)]
        for at, name in enumerate(self.names):
            parts += [repeat(b',"%b":' % name.encode()), chain.from_iterable(pieces[at::width])]
        return ids, [b"".join((*some, b"}")) for some in zip(*parts, strict=False)]


def moment_of(id: str) -> int:
    """When a packed record happened (microseconds since 1970 UTC): the `TIME_DIGITS` hexadecimal digits that its id
    begins with."""
    return int(id[:TIME_DIGITS], 16)


def ids_from(first: str, count: int) -> list[str]:
    """Ids a microsecond apart."""
    if count == 1:
        return [first]
    moment, rest = moment_of(first), first[TIME_DIGITS:]
    return [f"{moment + at:0{TIME_DIGITS}x}{rest}" for at in range(count)]


_decode_values = msgspec.json.Decoder(list[list[msgspec.Raw] | dict[str, list[msgspec.Raw]]]).decode
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

    def add(self, record: Record | Packed) -> None:
        """Takes one more."""
        _encode_into(record, self._body, -1)
        self._told += 1
        self.count += record.count if isinstance(record, Packed) else 1

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
