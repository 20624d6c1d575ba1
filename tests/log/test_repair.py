"""A repaired log keeps every whole record at its position, and knows which ones are gone."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.errors import WorkError
from headrace.log import segment
from headrace.log.frames import Frame, Record
from headrace.log.repair import add_gaps, is_gap_known, read_gaps, repair_files

gaps_of = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda one: [one[0], one[0] + one[1]]),
    max_size=5,
)


@example(gaps=[[5, 9], [0, 5]], end=1, count=6)
@given(gaps=gaps_of, end=st.integers(0, 14), count=st.integers(1, 6))
def test_a_gap_is_known_where_each_of_its_records_is(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[list[int]], end: int, count: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    add_gaps(folder, gaps[:2])
    add_gaps(folder, gaps[2:])
    assert read_gaps(folder) == gaps
    gone = {at for start, until in gaps for at in range(start, until)}
    assert is_gap_known(folder, end, end + count) == (gone >= set(range(end, end + count)))


def test_gaps_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    assert read_gaps(tmp_path) == []
    (tmp_path / "gaps.json").write_bytes(b"[[1")
    with pytest.raises(WorkError, match=r"gaps\.json: cannot be read; expected the log as it was"):
        read_gaps(tmp_path)


def frame(at: int, count: int = 2) -> bytes:
    records = [Record(str(at + more), 0, 0, "k", b"{}") for more in range(count)]
    return b"".join(Frame(records).encode())


def positions(folder: Path) -> dict[int, str]:
    """The records that are there, by position."""
    found: dict[int, str] = {}
    for path in sorted(folder.glob("*.open")):
        table = segment.read(path)
        found |= dict(zip(table["position"].to_list(), table["id"].to_list(), strict=True))
    return found


@pytest.mark.parametrize("hit", [0, 1, 2])
@pytest.mark.parametrize("byte", [0, 13, -1])
def test_whole_frames_stay_where_they_were(tmp_path: Path, hit: int, byte: int) -> None:
    """The next file tells how many were lost, where the head of a frame does not."""
    frames = [frame(10 + 2 * at) for at in range(3)]
    damaged = bytearray(frames[hit])
    damaged[byte] ^= 4
    written = b"".join([*frames[:hit], bytes(damaged), *frames[hit + 1 :]])
    files = [tmp_path / f"{first:020d}.open" for first in (10, 16)]
    files[0].write_bytes(written)
    files[1].write_bytes(frame(16))
    said = repair_files(tmp_path, files)
    lost = {10 + 2 * hit, 11 + 2 * hit}
    assert positions(tmp_path) == {at: str(at) for at in range(10, 18) if at not in lost}
    assert (tmp_path / f"{files[0].name}.damaged").read_bytes() == written
    assert is_gap_known(tmp_path, min(lost), max(lost) + 1) or hit == 0
    assert f"4 records of {files[0].name} were copied" in said[0]


def test_a_log_that_is_whole_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / f"{0:020d}.open"
    path.write_bytes(frame(0))
    assert repair_files(tmp_path, [path]) == []
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_changed_segment_is_set_aside_and_its_records_are_gone(tmp_path: Path) -> None:
    opened = tmp_path / f"{2:020d}.open"
    opened.write_bytes(frame(2))
    sealed = segment.write(opened)
    opened.unlink()
    around = [tmp_path / f"{first:020d}.open" for first in (0, 4)]
    for first, path in zip((0, 4), around, strict=True):
        path.write_bytes(frame(first))
    sealed.write_bytes(sealed.read_bytes()[:-1])
    said = repair_files(tmp_path, [around[0], sealed, around[1]])
    assert said == [
        f"{sealed.name} was changed after it was sealed, and is set aside as {sealed.name}.damaged",
        "records 2 to 3 are gone",
    ]
    assert read_gaps(tmp_path) == [[2, 4]]
    assert positions(tmp_path) == {at: str(at) for at in (0, 1, 4, 5)}
