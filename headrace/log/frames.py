"""Frames: how records stand in an open file of the log.

A frame is a length, how many records it holds, a checksum of them, a checksum of these three, and
the records that were appended by one call, as MessagePack: it is there whole or not at all. The
length has a checksum of its own so that a flipped bit in it is not taken for a frame that was cut
off.
"""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, repeat
from operator import attrgetter
from pathlib import Path
from struct import Struct as Layout
from typing import Any, BinaryIO

import msgspec

from headrace.errors import WorkError

TIME_DIGITS = 14
_FRAME, _EARLIER = Layout("<IIII"), Layout("<III")
_TAIL = 8
"""A disk that lost power leaves zeros; no record ends in so many."""


class Record(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """One thing that happened: what it is called, when it happened, from when it was known
    (microseconds since 1970 UTC), of which kind it is, and what it was, as JSON.
    """

    id: str
    time: int
    available: int
    kind: str
    payload: bytes


class RecordBatch(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Records of one kind that came in pieces, and are taken apart only when they are read: that
    costs whoever appends next to nothing.

    `values` is a JSON array without its brackets: for every piece, for each of the names, an array
    of the values of its records, or an object around one. The payload of a record is the JSON
    object that `head` begins, without its last brace, and under each name its value. Its id is what
    its last value, an object, has under `id`; it begins with when the record happened and was known
    (see `time_in_id`).

    >>> values = b'[{"x":1}],[{"id":"07-a"}],{"rows":[{"x":2},{"x":3}]},[{"id":"08-a"},{"id":"09-a"}]'
    >>> packed = RecordBatch(3, "k", b'{"model":"ads"', ["row", "answer"], "id", memoryview(values))
    >>> ids, payloads = packed.unpack()
    >>> ids, payloads[2]
    (['07-a', '08-a', '09-a'], b'{"model":"ads","row":{"x":3},"answer":{"id":"09-a"}}')
    """

    count: int
    kind: str
    head: bytes
    names: list[str]
    id: str
    values: memoryview

    def unpack(self) -> tuple[list[str], list[bytes]]:
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


def time_in_id(id: str) -> int:
    """When a packed record happened (microseconds since 1970 UTC): the `TIME_DIGITS` hexadecimal
    digits that its id begins with.
    """
    return int(id[:TIME_DIGITS], 16)


@cache
def _id_in(member: str) -> Callable[[Any], str]:
    """Reads the id in a JSON object."""
    named = msgspec.defstruct("Named", [("id", str)], rename={"id": member})
    decode, get = msgspec.json.Decoder(named).decode, attrgetter("id")
    return lambda value: get(decode(value))


_decode_values = msgspec.json.Decoder(list[list[msgspec.Raw] | dict[str, list[msgspec.Raw]]]).decode
decode_records = msgspec.msgpack.Decoder(list[Record | RecordBatch]).decode
"""The records in the bytes of a frame."""
_encode_into = msgspec.msgpack.Encoder().encode_into
_CHECKSUM = Layout("<I")
_LIST = Layout(">BI")  # how MessagePack begins a list of up to 2**32 values
_LIST_32 = 0xDD


class Frame:
    """Records that are appended together, encoded as they come: nothing of them is kept but bytes."""

    def __init__(self, records: Iterable[Record | RecordBatch] = ()) -> None:
        self._body, self._told, self.count = bytearray(_LIST.size), 0, 0
        for record in records:
            self.add(record)

    def add(self, record: Record | RecordBatch) -> None:
        """Takes one more."""
        _encode_into(record, self._body, -1)
        self._told += 1
        self.count += record.count if isinstance(record, RecordBatch) else 1

    def encode(self) -> list[bytes | bytearray]:
        """The frame, in pieces."""
        _LIST.pack_into(self._body, 0, _LIST_32, self._told)
        head = _EARLIER.pack(len(self._body), self.count, zlib.crc32(self._body, self.count))
        return [head + _CHECKSUM.pack(zlib.crc32(head)), self._body]


def read_frames(path: Path, start: int = 0) -> Iterator[tuple[int, bytes, int]]:
    """The whole frames from an offset on: how many records, their bytes, and the offset of the end.

    The frame that ends the file may be torn, where its process was killed or power was lost: it is
    shorter than it says, or zeros. Raises `WorkError` for any other that is not as it was written.
    """
    with path.open("rb") as file:
        end, whole = start, os.fstat(file.fileno()).st_size  # another process may append meanwhile
        while True:
            at = end
            file.seek(at)
            found = _frame_at(file, at, whole)
            if found is None:
                return
            count, body, end = found
            yield count, body, end


def _frame_at(file: BinaryIO, at: int, whole: int) -> tuple[int, bytes, int] | None:
    """The frame at an offset of a file that has so many bytes; none where a torn one, or nothing, ends the file."""
    begin = file.read(_FRAME.size)
    if len(begin) < _FRAME.size:
        return None
    size, count, checksum, head = _FRAME.unpack(begin)
    if zlib.crc32(begin[: _EARLIER.size]) == head:
        end = at + _FRAME.size + size
        if end > whole:
            return None
        body = file.read(size)
        if zlib.crc32(body, count) == checksum:
            return count, body, end
        if end == whole and not any(body[-_TAIL:]):
            return None
        raise damage_error(file.name, at)
    end = at + _EARLIER.size + size
    if size and end <= whole:  # an earlier version had no checksum of the head
        file.seek(at + _EARLIER.size)
        body = file.read(size)
        if zlib.crc32(body, count) == checksum:
            return count, body, end
    file.seek(at + _FRAME.size)
    if not any(begin[-_TAIL:]) and not any(file.read()):
        return None
    raise damage_error(file.name, at)


def find_frames(data: bytes, start: int) -> Iterator[tuple[int, int, int, bool]]:
    """The frames in damaged bytes, wherever they stand from an offset on: where each begins and
    ends, how many records it has, and whether it is whole.
    """
    at = start
    while at + _FRAME.size <= len(data):
        size, count, checksum, head = _FRAME.unpack_from(data, at)
        end = at + _FRAME.size + size
        if end > len(data) or zlib.crc32(data[at : at + _EARLIER.size]) != head:
            at += 1
        elif zlib.crc32(data[at + _FRAME.size : end], count) == checksum:
            yield at, end, count, True
            at = end
        else:  # its length and its count are right
            yield at, end, count, False
            at = end


def damage_error(file: str, at: int) -> WorkError:
    """A frame that is not as it was written."""
    do = "the file is left as it is; `headrace log repair` copies what is whole"
    return WorkError(f"{file} at byte {at}", "a damaged record", "the log as it was written", do)
