"""One at a time, among the threads and processes of a machine."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.clock import SYSTEM
from headrace.errors import WorkError

_RETRY_S = 0.02


class BusyError(WorkError):
    """A lock is in use for longer than the caller would wait."""


@contextmanager
def exclusive_lock(path: Path, patience_s: float | None = None) -> Iterator[None]:
    """Lock a file for the length of a block, and create the file if it is absent.

    Waits for the lock, for at most `patience_s` seconds if that is stated. The system releases
    the lock of a process that is killed.

    Raises `WorkError` if the folder cannot be written, and `BusyError` when patience is over.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "lock"
    ...     with exclusive_lock(path), exclusive_lock(path, patience_s=0):
    ...         pass
    Traceback (most recent call last):
    headrace.tables.lock.BusyError: ...: held by another process for 0 s; expected a free lock; ...
    """
    try:
        lock = _open(path)
    except OSError as error:
        raise WorkError(
            str(path.parent), f"cannot be written ({error.strerror})", "a writable folder"
        ) from error
    try:
        _acquire(lock, path, patience_s)
        yield
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    """Open the file of a lock; create it, and its folder, if they are absent."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _acquire(lock: int, path: Path, patience_s: float | None) -> None:
    if patience_s is None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return

    # The system cannot wait for a lock for a limited time, so this asks again and again.
    until = SYSTEM.monotonic_s() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if SYSTEM.monotonic_s() >= until:
                raise BusyError(
                    str(path),
                    f"held by another process for {patience_s:g} s",
                    "a free lock",
                    "wait for that process, or end it",
                ) from None
            time.sleep(min(_RETRY_S, patience_s))
