"""Nothing half-written is ever seen: write beside, fsync, rename."""

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

_UNSETTLED, _DAY_S, _FRESH_S = ".writing-", 86_400, 10


@contextmanager
def atomic_file(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yields a path beside `path` to write to; it takes `path`'s place when the block ends well,
    else it is removed.

    Raises `WorkError` where the disk refuses.
    """
    path = path.absolute()
    beside = handle = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_files(path)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}-", suffix=path.suffix, dir=path.parent
        )
        beside = Path(name)
        fcntl.flock(
            handle, fcntl.LOCK_EX
        )  # as long as it is written nobody takes it for left behind
        yield beside
        _fsync(beside)
        beside.chmod(mode)
        beside.replace(path)
        _fsync(path.parent)
    except OSError as error:
        raise WorkError(
            str(path), f"cannot be written ({error.strerror or error})", "a folder with room"
        ) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def _sweep_files(path: Path) -> None:
    """Removes what processes that were killed left beside a file that they were writing."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}-"):
            with suppress(OSError):  # another process is at it
                handle = os.open(left, os.O_RDONLY)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if SYSTEM.now_us() / US_PER_S - left.stat().st_mtime > _FRESH_S:
                        left.unlink()
                finally:
                    os.close(handle)


@contextmanager
def atomic_folder(parent: Path) -> Iterator[Path]:
    """Yields a new hidden folder in `parent` to fill and then `publish_folder`; what is not settled is removed."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        beside = Path(tempfile.mkdtemp(prefix=_UNSETTLED, dir=parent))
    except OSError as error:
        raise WorkError(
            str(parent), f"cannot be written ({error.strerror or error})", "a folder with room"
        ) from error
    try:
        yield beside
    except OSError as error:
        raise WorkError(
            str(parent), f"cannot be written ({error.strerror or error})", "a folder with room"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Removes what processes that were killed had begun to fill, a day later."""
    for left in parent.glob(f"{_UNSETTLED}*"):
        with suppress(OSError):  # another process may be at it
            if SYSTEM.now_us() / US_PER_S - left.stat().st_mtime > _DAY_S:
                shutil.rmtree(left, ignore_errors=True)


def publish_folder(beside: Path, final: Path) -> bool:
    """Gives a filled folder its name in one step; false, and nothing done, where the name is taken."""
    for file in beside.iterdir():
        _fsync(file)
    _fsync(beside)
    beside.chmod(0o755)
    try:
        beside.rename(final)  # refused by the system where `final` is a folder that holds files
    except OSError:
        if final.exists():
            return False
        raise
    _fsync(final.parent)
    return True


def sink(frame: pl.LazyFrame, path: Path) -> None:
    """Writes a lazy frame to a file, in batches and atomically; the format is told by the name's end."""
    kind = format_of(path)
    with atomic_file(path) as beside:
        if kind == "parquet":
            frame.sink_parquet(beside)
        elif kind == "arrow":
            frame.sink_ipc(beside)
        elif kind == "ndjson":
            frame.sink_ndjson(beside)
        else:
            frame.sink_csv(beside, separator="\t" if ".tsv" in path.name.lower() else ",")


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
