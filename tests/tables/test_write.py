import errno
import os
import time
from pathlib import Path

import polars as pl
import pytest

from millrace.errors import WorkError
from millrace.tables import atomic_file, atomic_folder, load, settle, sink


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
            assert settle(beside, tmp_path / "final") is expected
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
    assert not old.exists() and new.exists()
