"""Frames: the records of one append, as bytes in an open file of the log.

A frame is in the file as a whole, or not at all:

    byte   0          4          8          12         16
           | length   | count    | sum      | head sum | body: `length` bytes |

    length     the bytes of the body
    count      the records in the body
    sum        CRC-32 of the body, started from `count`
    head sum   CRC-32 of the twelve bytes before it: so a flipped bit in the length is not taken
               for a frame that was cut off
    body       a MessagePack list of records and batches: 0xdd, its length in four bytes, its values

All numbers of the head are unsigned and little-endian. Frames of an earlier version have no head
sum; their body begins at byte 12.

    >>> head, body = Frame([Record("7", 0, 0, "clicks", b"{}")]).encode()
    >>> Layout("<IIII").unpack(head)[:2]
    (22, 1)
    >>> bytes(body)
    b'\\xdd\\x00\\x00\\x00\\x01\\x96\\x00\\xa17\\x00\\x00\\xa6clicks\\xc4\\x02{}'
"""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from struct import Struct as Layout
from types import GenericAlias
from typing import Any, BinaryIO, NamedTuple

import msgspec

from headrace.errors import WorkError

TIME_DIGITS = 14
_HEAD = Layout("<IIII")
_EARLIER_HEAD = Layout("<III")
_ZEROS = 8
"""After a loss of power a file may end in zeros; no record ends in so many."""


class Record(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """An event, a prediction or the like: its id, its times, its kind and its content as JSON.

    `time` is when it happened, `available` from when it was known, both in microseconds since 1970
    UTC.
    """

    id: str
    time: int
    available: int
    kind: str
    payload: bytes


class RecordBatch(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Records of one kind as they came, in pieces.

    They are taken apart only when they are read, so that an append costs next to nothing.

    `values` is a JSON array without its brackets. Each piece has an element for each of the
    `names`: an array with a value of each record, or an object around this array. A record's
    payload is a JSON object: `head`, which lacks the closing brace, then each name with the
    record's value. Its id is the member `id` of its last value, an object. The id begins with the
    time at which the record happened and was known (see `time_in_id`).

    >>> values = (
    ...     b'[{"x":1}],[{"id":"07-a"}],'
    ...     b'{"rows":[{"x":2},{"x":3}]},[{"id":"08-a"},{"id":"09-a"}]'
    ... )
    >>> batch = RecordBatch(3, "k", b'{"model":"ads"', ["row", "answer"], "id", memoryview(values))
    >>> ids, payloads = batch.unpack()
    >>> ids
    ['07-a', '08-a', '09-a']
    >>> payloads[2]
    b'{"model":"ads","row":{"x":3},"answer":{"id":"09-a"}}'
    """

    count: int
    kind: str
    head: bytes
    names: list[str]
    id: str
    values: memoryview

    def unpack(self) -> tuple[list[str], list[bytes]]:
        """Take the batch apart, into the ids and the payloads of its records."""
        columns = self._split()
        parts: list[Iterable[Any]] = [repeat(self.head)]
        for name, column in zip(self.names, columns, strict=True):
            parts += [repeat(b',"%b":' % name.encode()), column]
        payloads = [b"".join((*pieces, b"}")) for pieces in zip(*parts, strict=False)]
        return [answer.id for answer in self._read_answers(columns[-1])], payloads

    def judge(self) -> "Judged":
        """Take out of the batch what is judged of its records, without their payloads."""
        elements = _decode_elements(b"".join((b"[", self.values, b"]")))
        width = len(self.names)
        columns = dict(zip(self.names, (elements[at::width] for at in range(width)), strict=True))
        contexts: list[list[float]] | None = None
        if "context" in columns:
            contexts = list(chain.from_iterable(_decode_contexts(_join(columns["context"]))))
        head = _decode_head(self.head + b"}")
        decode = _build_decoder(self.id, head.row_id, nested=True)
        answers = decode(_join(columns[self.names[-1]]))
        flat = list(chain.from_iterable(answers))
        units: list[str | None] | None = None
        propensities: list[float] | None = None
        if "unit" in columns:
            units = list(chain.from_iterable(_decode_units(_join(columns["unit"]))))
        if "propensity" in columns:
            numbers = _decode_propensities(_join(columns["propensity"]))
            propensities = list(chain.from_iterable(numbers))
        return Judged(
            ids=[answer.id for answer in flat],
            version=head.version,
            arm=head.arm,
            phase=head.phase,
            propensities=propensities or [head.propensity] * len(flat),
            units=units or [None] * len(flat),
            predictions=[answer.prediction for answer in flat],
            contexts=contexts,
            row_ids=[_to_text(answer.row_id) for answer in flat] if head.row_id else None,
        )

    def _split(self) -> list[list[msgspec.Raw]]:
        """Return the values of all records under each name."""
        elements = _decode_values(b"".join((b"[", self.values, b"]")))
        # The loops over records run within comprehensions, `zip` and `join`: sealing does this for
        # every record of the log.
        arrays = [
            element if isinstance(element, list) else next(iter(element.values()))
            for element in elements
        ]
        width = len(self.names)
        return [list(chain.from_iterable(arrays[at::width])) for at in range(width)]

    def _read_answers(self, answers: list[msgspec.Raw]) -> list[Any]:
        """Read id and prediction of each answer: all at once, which is faster than one by one."""
        read: list[Any] = _build_decoder(self.id)(_join(answers))
        return read


class Judged(NamedTuple):
    """What is judged of the predictions of a batch: their ids, and what a rollout reads of them.

    `version`, `arm` and `phase` are those of all of them; `phase` is None outside of a rollout.
    """

    ids: list[str]
    version: int | None
    arm: str | None
    phase: int | None
    propensities: list[float | None] | list[float]
    units: list[str | None]
    predictions: list[float | str | None]
    row_ids: list[str | None] | None
    contexts: list[list[float]] | None


def _to_text(value: Any) -> str | None:
    """Return the id of a row as text: 7 and "7" are one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else str(value)


class _Head(msgspec.Struct):
    """The members of a head that are judged."""

    version: int | None = None
    arm: str | None = None
    phase: int | None = None
    propensity: float | None = None
    row_id: str | None = None
    """The member of an answer that is the id of its row."""


def _join(elements: Iterable[msgspec.Raw]) -> bytes:
    """Join JSON values to one array."""
    return b"".join((b"[", b",".join(elements), b"]"))


def time_in_id(id: str) -> int:
    """Read the time at which a record of a batch happened, in microseconds since 1970 UTC.

    It is the first `TIME_DIGITS` hexadecimal digits of the record's id.

    >>> time_in_id("0000000000000f-1")
    15
    """
    return int(id[:TIME_DIGITS], 16)


@cache
def _build_decoder(
    member: str, row_id: str | None = None, nested: bool = False
) -> Callable[[bytes], Any]:
    """Return the decoder of an array of answers, whose id is the member of this name.

    With `nested` the answers are in arrays within it.
    """
    fields: list[Any] = [("id", str), ("prediction", float | str | None, None)]
    names = {"id": member}
    if row_id is not None:
        fields.append(("row_id", Any, None))
        names["row_id"] = row_id
    answer = msgspec.defstruct("Answer", fields, rename=names)
    answers: Any = GenericAlias(list, (answer,))
    return msgspec.json.Decoder(GenericAlias(list, (answers,)) if nested else answers).decode


_decode_values = msgspec.json.Decoder(list[list[msgspec.Raw] | dict[str, list[msgspec.Raw]]]).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_units = msgspec.json.Decoder(list[list[str | None]]).decode
_decode_propensities = msgspec.json.Decoder(list[list[float]]).decode
_decode_contexts = msgspec.json.Decoder(list[list[list[float]]]).decode
_decode_head = msgspec.json.Decoder(_Head).decode
decode_records = msgspec.msgpack.Decoder(list[Record | RecordBatch]).decode
"""Reads the records in the body of a frame."""
_encode_into = msgspec.msgpack.Encoder().encode_into
_CHECKSUM = Layout("<I")
_LIST = Layout(">BI")
_LIST_32 = 0xDD
"""The byte with which MessagePack begins a list of up to 2**32 values; its length follows."""


class Frame:
    """Records that are appended together.

    Each is encoded when it is added, so that a frame holds bytes and no records.
    """

    def __init__(self, records: Iterable[Record | RecordBatch] = ()) -> None:
        self._body = bytearray(_LIST.size)
        self._length = 0
        self.count = 0
        for record in records:
            self.add(record)

    def add(self, record: Record | RecordBatch) -> None:
        """Add a record, or the records of a batch."""
        _encode_into(record, self._body, -1)
        self._length += 1
        self.count += record.count if isinstance(record, RecordBatch) else 1

    def encode(self) -> list[bytes | bytearray]:
        """Return the bytes of the frame, in two pieces: the head and the body."""
        _LIST.pack_into(self._body, 0, _LIST_32, self._length)
        head = _EARLIER_HEAD.pack(len(self._body), self.count, zlib.crc32(self._body, self.count))
        return [head + _CHECKSUM.pack(zlib.crc32(head)), self._body]


def read_frames(path: Path, start: int = 0) -> Iterator[tuple[int, bytes, int]]:
    """Read the frames of a file from the offset `start` on.

    Yields for each the number of its records, its body, and the offset of its end. The last frame
    may be torn, if a process was killed or power was lost: the file is too short for it, or ends in
    zeros. It is left out. Raises `WorkError` if any other frame is not as it was written.
    """
    with path.open("rb") as file:
        # Another process may append meanwhile; its frames are left for the next time.
        size = os.fstat(file.fileno()).st_size
        at = start
        while True:
            file.seek(at)
            frame = _read_frame(file, at, size)
            if frame is None:
                return
            at = frame[2]
            yield frame


def _read_frame(file: BinaryIO, at: int, file_size: int) -> tuple[int, bytes, int] | None:
    """Read the frame at the offset `at`; None if the file ends there, or with a torn frame."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    size, count, checksum, head_checksum = _HEAD.unpack(head)
    if zlib.crc32(head[: _EARLIER_HEAD.size]) != head_checksum:
        return _read_earlier_frame(file, at, file_size, head)

    end = at + _HEAD.size + size
    if end > file_size:
        return None
    body = file.read(size)
    if zlib.crc32(body, count) == checksum:
        return count, body, end
    if end == file_size and not any(body[-_ZEROS:]):
        return None
    raise damage_error(file.name, at)


def _read_earlier_frame(
    file: BinaryIO, at: int, file_size: int, head: bytes
) -> tuple[int, bytes, int] | None:
    """Read a frame whose head has no valid checksum: of an earlier version, or torn."""
    size, count, checksum, _ = _HEAD.unpack(head)
    end = at + _EARLIER_HEAD.size + size
    if size and end <= file_size:
        file.seek(at + _EARLIER_HEAD.size)
        body = file.read(size)
        if zlib.crc32(body, count) == checksum:
            return count, body, end

    file.seek(at + _HEAD.size)
    if not any(head[-_ZEROS:]) and not any(file.read()):
        return None
    raise damage_error(file.name, at)


def find_frames(data: bytes, start: int) -> Iterator[tuple[int, int, int, bool]]:
    """Find the frames in damaged bytes from an offset on, wherever they are.

    Yields for each where it begins, where it ends, how many records it has, and whether it is
    whole. If only the body is damaged, the frame is not whole; its length and its count are right.

    >>> head, body = Frame([Record("7", 0, 0, "clicks", b"{}")]).encode()
    >>> list(find_frames(b"???" + head + body, 0))
    [(3, 41, 1, True)]
    """
    at = start
    while at + _HEAD.size <= len(data):
        size, count, checksum, head_checksum = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + size
        if end > len(data) or zlib.crc32(data[at : at + _EARLIER_HEAD.size]) != head_checksum:
            at += 1
            continue
        body = data[at + _HEAD.size : end]
        yield at, end, count, zlib.crc32(body, count) == checksum
        at = end


def damage_error(file: str, at: int) -> WorkError:
    """Return the error for a frame that is not as it was written."""
    return WorkError(
        f"{file} at byte {at}",
        "a damaged record",
        "the log as it was written",
        "the file is left as it is; `headrace log repair` copies what is intact",
    )
