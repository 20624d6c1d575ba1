"""Frames: how records stand in an open file of the log.

A frame is a length, how many records it holds, a checksum, and the records that were appended by one call, as
MessagePack: it is there whole or not at all.
"""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, repeat
from operator import attrgetter
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

    `values` is a JSON array without its brackets: for every piece, for each of the names, an array of the values of
    its records, or an object around one. The payload of a record is the JSON object that `head` begins, without its
    last brace, and under each name its value. Its id is what its last value, an object, has under `id`; it begins with
    when the record happened and was known (see `moment_of`).

    >>> values = b'[{"x":1}],[{"id":"07-a"}],{"rows":[{"x":2},{"x":3}]},[{"id":"08-a"},{"id":"09-a"}]'
    >>> packed = Packed(3, "k", b'{"model":"ads"', ["row", "answer"], "id", memoryview(values))
    >>> ids, payloads = packed.apart()
    >>> ids, payloads[2]
    (['07-a', '08-a', '09-a'], b'{"model":"ads","row":{"x":3},"answer":{"id":"09-a"}}')
    """

    count: int
    kind: str
    head: bytes
    names: list[str]
    id: str
    values: memoryview

    def apart(self) -> tuple[list[str], list[bytes]]:
        """The ids and the payloads of the records."""
        told = _decode_values(b"".join((b"[", self.values, b"]")))
        pieces = [one if isinstance(one, list) else next(iter(one.values())) for one in told]
        width = len(self.names)
        columns = [list(chain.from_iterable(pieces[at::width])) for at in range(width)]
        parts: list[Iterable[Any]] = [repeat(self.head)]
        for name, column in zip(self.names, columns, strict=True):
            parts += [repeat(b',"%b":' % name.encode()), column]
        payloads = [b"".join((*some, b"}")) for some in zip(*parts, strict=False)]
        return list(map(_id_in(self.id), columns[-1])), payloads


def moment_of(id: str) -> int:
    """When a packed record happened (microseconds since 1970 UTC): the `TIME_DIGITS` hexadecimal digits that its id
    begins with."""
    return int(id[:TIME_DIGITS], 16)


@cache
def _id_in(member: str) -> Callable[[Any], str]:
    """Reads the id in a JSON object."""
    named = msgspec.defstruct("Named", [("id", str)], rename={"id": member})
    decode, get = msgspec.json.Decoder(named).decode, attrgetter("id")
    return lambda value: get(decode(value))


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
