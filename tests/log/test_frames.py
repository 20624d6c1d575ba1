"""Frames stand as their format says, are there whole or not at all, and tell a changed byte."""

import struct
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import WorkError
from headrace.log.frames import (
    Frame,
    Record,
    RecordBatch,
    decode_records,
    find_frames,
    read_frames,
    time_in_id,
)

records_of = st.lists(
    st.builds(
        Record,
        id=st.text(max_size=5),
        time=st.integers(-(2**63), 2**63 - 1),
        available=st.integers(-(2**63), 2**63 - 1),
        kind=st.sampled_from(["clicks", "é"]),
        payload=st.binary(max_size=9),
    ),
    min_size=1,
    max_size=4,
)
batch = RecordBatch(
    2, "k", b'{"a":1', ["x"], "id", memoryview(b'[{"id":"0000000000000f-1"},{"id":"10"}]')
)


def by_hand(records: list[Record]) -> bytes:
    """The length, how many, the checksum of the records, that of these three, and the records."""
    fields = [[0, one.id, one.time, one.available, one.kind, one.payload] for one in records]
    body = b"\xdd" + struct.pack(">I", len(fields))
    body += b"".join(msgspec.msgpack.encode(one) for one in fields)
    head = struct.pack("<III", len(body), len(records), zlib.crc32(body, len(records)))
    return head + struct.pack("<I", zlib.crc32(head)) + body


def read(path: Path, content: bytes, start: int = 0) -> list[tuple[int, bytes, int]]:
    path.write_bytes(content)
    return list(read_frames(path, start))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames") / "one.open"


@given(frames=st.lists(records_of, max_size=3))
def test_frames_are_the_bytes_of_their_format_and_are_read_again(
    file: Path, frames: list[list[Record]]
) -> None:
    pieces = [b"".join(Frame(some).encode()) for some in frames]
    assert pieces == [by_hand(some) for some in frames]
    found = read(file, b"".join(pieces))
    assert [count for count, *_ in found] == [len(some) for some in frames]
    assert [decode_records(body) for _, body, _ in found] == frames
    assert [end for *_, end in found] == [
        sum(map(len, pieces[: at + 1])) for at in range(len(pieces))
    ]
    if frames:
        assert read(file, b"".join(pieces), len(pieces[0])) == found[1:]


def test_a_frame_counts_the_records_of_its_batches() -> None:
    frame = Frame([batch])
    frame.add(Record("1", 0, 0, "k", b"{}"))
    head, body = frame.encode()
    assert frame.count == struct.unpack("<IIII", head)[1] == 3
    first, last = decode_records(bytes(body))
    assert isinstance(first, RecordBatch)
    assert first.unpack() == batch.unpack()
    assert last == Record("1", 0, 0, "k", b"{}")


def test_a_batch_is_read_record_by_record() -> None:
    ids, payloads = batch.unpack()
    assert ids == ["0000000000000f-1", "10"]
    assert payloads == [b'{"a":1,"x":{"id":"%b"}}' % one.encode() for one in ids]
    assert time_in_id(ids[0]) == 15


FRAMES = [by_hand([Record(str(at), at, at, "k", b"payload")]) for at in range(3)]
WHOLE, LAST = b"".join(FRAMES), len(FRAMES[0]) * 2


@pytest.mark.parametrize("cut", range(LAST, len(WHOLE)))
def test_a_frame_that_was_cut_off_at_the_end_is_none(file: Path, cut: int) -> None:
    assert [end for *_, end in read(file, WHOLE[:cut])] == [LAST // 2, LAST]


@pytest.mark.parametrize("kept", [0, 8, 16, 24])
def test_zeros_at_the_end_are_no_frame(file: Path, kept: int) -> None:
    """What a loss of power leaves: the length of the file is there, the content is not."""
    torn = FRAMES[2][:kept].ljust(len(FRAMES[2]), b"\0")
    assert len(read(file, FRAMES[0] + FRAMES[1] + torn)) == 2


@pytest.mark.parametrize("byte", range(len(FRAMES[1])))
def test_a_changed_byte_before_the_last_frame_is_told_with_its_place(file: Path, byte: int) -> None:
    begin = len(FRAMES[0])
    for bit in (1, 128):
        changed = bytearray(WHOLE)
        changed[begin + byte] ^= bit
        with pytest.raises(WorkError) as error:
            read(file, bytes(changed))
        assert str(error.value).startswith(f"{file} at byte {begin}: a damaged record; expected")
        assert "`headrace log repair`" in str(error.value)


def test_an_earlier_version_has_no_checksum_of_the_head(file: Path) -> None:
    earlier = FRAMES[0][:12] + FRAMES[0][16:]
    found = read(file, earlier + FRAMES[1])
    assert [decode_records(body)[0] for _, body, _ in found] == [
        Record("0", 0, 0, "k", b"payload"),
        Record("1", 1, 1, "k", b"payload"),
    ]


@given(
    junk=st.lists(st.binary(max_size=20), min_size=4, max_size=4),
    hit=st.sets(st.integers(0, 2)),
)
def test_whole_frames_are_found_wherever_they_stand(junk: list[bytes], hit: set[int]) -> None:
    """A frame whose records were changed is told apart from one that is whole."""
    data, expected = junk[0], []
    for at, frame in enumerate(FRAMES):
        written = frame[:-1] + bytes([frame[-1] ^ 1]) if at in hit else frame
        expected.append((len(data), len(data) + len(frame), 1, at not in hit))
        data += written + junk[at + 1]
    assert list(find_frames(data, 0)) == expected
    assert list(find_frames(data, expected[0][0] + 1)) == expected[1:]
