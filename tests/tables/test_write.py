import errno
import os
import time
from pathlib import Path

import polars as pl
import pytest

from headrace.errors import WorkError
from headrace.tables import atomic_file, atomic_folder, load, publish_folder, sink


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet", "t.ndjson", "t.arrow"])
def test_what_is_written_can_be_read(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    sink(frame.lazy(), tmp_path / name)
    assert load(tmp_path / name).frame.equals(frame)


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("old")
    with pytest.raises(ValueError, match="stop"), atomic_file(tmp_path / "t.txt") as beside:
        beside.write_text("half")
        raise ValueError("stop")
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]
    assert (tmp_path / "t.txt").read_text() == "old"


def test_a_folder_is_settled_once(tmp_path: Path) -> None:
    for expected in (True, False):
        with atomic_folder(tmp_path) as beside:
            (beside / "file").write_text("content")
            assert publish_folder(beside, tmp_path / "final") is expected
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="No space left on device"), atomic_file(tmp_path / "t.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_a_day_later(tmp_path: Path) -> None:
    old, new = tmp_path / ".writing-old", tmp_path / ".writing-new"
    for left in (old, new):
        left.mkdir()
        (left / "half").write_text("")
    yesterday = time.time() - 100_000
    os.utime(old, (yesterday, yesterday))
    with atomic_folder(tmp_path):
        pass
    assert not old.exists()
    assert new.exists()


def test_what_a_killed_process_left_of_a_file_is_swept(tmp_path: Path) -> None:
    left, fresh, other = (
        tmp_path / ".t.csv-abc.csv",
        tmp_path / ".t.csv-new.csv",
        tmp_path / ".u.csv-abc.csv",
    )
    for one in (left, fresh, other):
        one.write_text("half")
    os.utime(left, (1, 1))
    os.utime(other, (1, 1))
    with atomic_file(tmp_path / "t.csv") as beside:
        beside.write_text("x\n1\n")
        os.utime(beside, (1, 1))
        with atomic_file(
            tmp_path / "t.csv"
        ) as second:  # another one leaves the first, which is being written, alone
            second.write_text("x\n2\n")
    assert {path.name for path in tmp_path.iterdir()} == {"t.csv", fresh.name, other.name}
    assert load(tmp_path / "t.csv").frame["x"].to_list() == [1]


def test_hidden_files_are_no_tables(tmp_path: Path) -> None:
    for name in ("a.csv", ".b.csv", "_c.csv", ".d.csv-x.csv"):
        (tmp_path / name).write_text("x,y\n1,a\n2,b\n")
    for path in (tmp_path, tmp_path / "*.csv"):
        assert load(path).frame.height == 2
    assert load(tmp_path / "_*.csv").frame.height == 2
