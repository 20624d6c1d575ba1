"""Atomic writing: no reader ever sees half of a file or of a folder.

A file is written under a hidden name in the same folder, flushed to the disk and renamed:

    .table.parquet-k2x9.parquet    a draft, locked by the process that writes it
            │ fsync, chmod, rename
            ▼
    table.parquet                  the whole file; or the old one, if the block failed

A process that is killed leaves its draft behind. The next one that writes there removes it, once
nobody has it locked. Folders go the same way, under the name `.writing-…`, for at most a day.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from headrace.clock import SYSTEM, US_PER_S
from headrace.errors import WorkError
from headrace.tables.scan import format_of

_DRAFT_PREFIX = ".writing-"
_ABANDONED_FOLDER_S = 86_400
_ABANDONED_FILE_S = 10
"""A file of this age without a lock is abandoned: a younger one may be about to be locked."""


@contextmanager
def atomic_file(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield a draft to write to, in the folder of `path`, and rename it to `path` after the block.

    If the block raises, the draft is removed and `path` stays as it was. Raises `WorkError` if
    the disk refuses.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "note.txt"
    ...     with atomic_file(path) as draft:
    ...         _ = draft.write_text("whole")
    ...         path.exists()
    ...     path.read_text()
    False
    'whole'
    """
    path = path.absolute()
    draft = None
    handle = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned_files(path)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}-", suffix=path.suffix, dir=path.parent
        )
        draft = Path(name)

        # As long as the lock lasts, no other process takes the draft for abandoned.
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield draft

        # Without this, a loss of power after the renaming could leave an empty file.
        _fsync(draft)
        draft.chmod(mode)
        draft.replace(path)
        _fsync(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def _unwritable(path: Path, error: OSError) -> WorkError:
    return WorkError(
        str(path), f"cannot be written ({error.strerror or error})", "a writable folder"
    )


def _remove_abandoned_files(path: Path) -> None:
    """Remove drafts of `path` that processes left behind when they were killed."""
    for draft in path.parent.iterdir():
        if draft.name.startswith(f".{path.name}-"):
            with suppress(OSError):  # another process is writing it, or has just removed it
                handle = os.open(draft, os.O_RDONLY)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _age_s(draft) > _ABANDONED_FILE_S:
                        draft.unlink()
                finally:
                    os.close(handle)


@contextmanager
def atomic_folder(parent: Path) -> Iterator[Path]:
    """Yield a new hidden folder in `parent`, to fill and then to name by `publish_folder`.

    A folder that was not published is removed after the block. Raises `WorkError` if the disk
    refuses.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as name:
    ...     parent = Path(name)
    ...     with atomic_folder(parent) as folder:
    ...         _ = (folder / "rows.csv").write_text("a")
    ...         publish_folder(folder, parent / "table")
    ...     [path.name for path in parent.iterdir()]
    True
    ['table']
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned_folders(parent)
        folder = Path(tempfile.mkdtemp(prefix=_DRAFT_PREFIX, dir=parent))
    except OSError as error:
        raise _unwritable(parent, error) from error
    try:
        yield folder
    except OSError as error:
        raise _unwritable(parent, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned_folders(parent: Path) -> None:
    """Remove folders that processes began to fill, and did not finish within a day."""
    for folder in parent.glob(f"{_DRAFT_PREFIX}*"):
        with suppress(OSError):  # another process may have removed it
            if _age_s(folder) > _ABANDONED_FOLDER_S:
                shutil.rmtree(folder, ignore_errors=True)


def _age_s(path: Path) -> float:
    return SYSTEM.now_us() / US_PER_S - path.stat().st_mtime


def publish_folder(folder: Path, final: Path) -> bool:
    """Rename a filled folder to `final` in one step.

    Returns False, and does nothing, if `final` exists already.
    """
    for file in folder.iterdir():
        _fsync(file)
    _fsync(folder)
    folder.chmod(0o755)
    try:
        # The system refuses this if `final` is a folder that holds files.
        folder.rename(final)
    except OSError:
        if final.exists():
            return False
        raise
    _fsync(final.parent)
    return True


def sink(frame: pl.LazyFrame, path: Path) -> None:
    """Write a lazy frame to a file, in batches and atomically, in the format of the file's name."""
    kind = format_of(path)
    with atomic_file(path) as draft:
        if kind == "parquet":
            frame.sink_parquet(draft)
        elif kind == "arrow":
            frame.sink_ipc(draft)
        elif kind == "ndjson":
            frame.sink_ndjson(draft)
        else:
            name = path.name.lower()
            frame.sink_csv(
                draft,
                separator="\t" if ".tsv" in name else ",",
                compression="gzip" if name.endswith(".gz") else "uncompressed",
            )


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
