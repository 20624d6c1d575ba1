"""A segment holds the records of its file, and knows by a checksum that it still does."""

import json
import zlib
from pathlib import Path

import polars as pl
import pytest

from headrace.errors import WorkError
from headrace.log import segment
from headrace.log.frames import Frame, Record, RecordBatch
from headrace.log.segment import COLUMNS

FIRST = 40
MOMENTS = [7, -3, 9, 0, 2**50]
RECORDS = [
    Record(f"é{at}", moment, moment + 1, "k" if at else "first", b'{"at":%d}' % at)
    for at, moment in enumerate(MOMENTS)
]
BATCH = RecordBatch(1, "packed", b'{"a":1', ["x"], "id", memoryview(b'[{"id":"0000000000000f-1"}]'))


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """An open file of the log, of three frames."""
    path = tmp_path / f"{FIRST:020d}.open"
    some = [Frame(RECORDS[:2]), Frame([*RECORDS[2:], BATCH])]
    path.write_bytes(b"".join(piece for one in some for piece in one.encode()))
    return path


def test_an_open_file_and_its_segment_are_the_same_records(opened: Path) -> None:
    table = segment.read(opened)
    sealed = segment.write(opened)
    assert sealed == opened.with_suffix(".parquet")
    assert segment.read(sealed).equals(table)
    assert dict(table.schema) == COLUMNS
    assert table["position"].to_list() == list(range(FIRST, FIRST + 6))
    assert table["id"].to_list() == [*(one.id for one in RECORDS), "0000000000000f-1"]
    assert table["time"].to_physical().to_list() == [*MOMENTS, 15]
    assert table["available"].to_physical().to_list() == [*(at + 1 for at in MOMENTS), 15]
    assert table["kind"].to_list() == ["first", "k", "k", "k", "k", "packed"]
    assert table["payload"][5] == '{"a":1,"x":{"id":"0000000000000f-1"}}'


def test_what_is_known_of_a_segment_stands_beside_it(opened: Path) -> None:
    sealed = segment.write(opened)
    content = sealed.read_bytes()
    sums = json.loads(segment.sums_path(sealed).read_bytes())
    own = sums.pop("own")
    assert sums == {
        "records": 6,
        "latest": max(MOMENTS) + 1,
        "bytes": len(content),
        "crc32": zlib.crc32(content),
    }
    assert own == zlib.crc32(" ".join(str(one) for one in sums.values()).encode())
    assert segment.count_records(sealed) == 6
    assert segment.latest_available(sealed) == max(MOMENTS) + 1


@pytest.mark.parametrize("name", [".parquet", ".sum"])
def test_a_changed_byte_and_a_missing_end_are_told(opened: Path, name: str) -> None:
    sealed = segment.write(opened)
    path = sealed.with_suffix(name)
    whole = path.read_bytes()
    step = max(len(whole) // 40, 1)
    for at in range(0, len(whole), step):
        for changed in (whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :], whole[:at]):
            path.write_bytes(changed)
            with pytest.raises(WorkError, match="has been changed since it was sealed") as error:
                segment.read(sealed)
            assert str(path) in str(error.value)


def test_a_segment_of_an_earlier_version_is_counted_anew(opened: Path) -> None:
    sealed = segment.write(opened)
    segment.sums_path(sealed).unlink()
    assert segment.count_records(sealed) == 6
    assert segment.latest_available(sealed) == max(MOMENTS) + 1
    sealed.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(WorkError, match="has been changed since it was sealed"):
        segment.read(sealed)
    with pytest.raises(WorkError, match="has been changed since it was sealed"):
        segment.count_records(sealed)


def test_an_empty_file_is_a_table_without_rows(tmp_path: Path) -> None:
    path = tmp_path / f"{0:020d}.open"
    path.touch()
    assert segment.read(path).equals(pl.DataFrame(schema=COLUMNS))
    sealed = segment.write(path)
    assert segment.count_records(sealed) == 0
    assert segment.latest_available(sealed) == 0


def test_many_records_stand_in_their_order(tmp_path: Path) -> None:
    """More than are taken apart at once."""
    path = tmp_path / f"{FIRST:020d}.open"
    ids = [str(at) for at in range(10_000)]
    frames = [
        Frame([Record(id, 0, 0, "k", b"{}") for id in ids[at : at + 700]])
        for at in range(0, len(ids), 700)
    ]
    path.write_bytes(b"".join(piece for one in frames for piece in one.encode()))
    found = segment.read(segment.write(path))
    assert found["id"].to_list() == ids
    assert found["position"].to_list() == list(range(FIRST, FIRST + len(ids)))


def test_what_is_removed_takes_what_is_known_of_it_along(opened: Path) -> None:
    sealed = segment.write(opened)
    segment.remove(sealed)
    assert sorted(opened.parent.iterdir()) == [opened]
