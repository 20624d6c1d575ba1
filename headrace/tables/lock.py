"""One at a time, among threads and processes of a machine."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.clock import SYSTEM
from headrace.errors import WorkError

_LOOK_S = 0.02


class BusyError(WorkError):
    """Somebody else holds a lock, for longer than one would wait."""


@contextmanager
def exclusive_lock(path: Path, patience_s: float | None = None) -> Iterator[None]:
    """Holds the lock of a file, which is made where it is not there; waits for whoever has it, for
    `patience_s` at most, where that is stated.

    A process that is killed gives it back. Raises `WorkError` where the folder cannot be written,
    and `BusyError`.
    """
    try:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WorkError(
            str(path.parent), f"cannot be written ({error.strerror})", "a folder with room"
        ) from error
    try:
        _take(lock, path, patience_s)
        yield
    finally:
        os.close(lock)


def _take(lock: int, path: Path, patience_s: float | None) -> None:
    if patience_s is None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return
    until = SYSTEM.monotonic_s() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if SYSTEM.monotonic_s() >= until:
                do = "whoever holds it goes on, or ends"
                raise BusyError(
                    str(path), f"held by another process for {patience_s:g} s", "its turn", do
                ) from None
            time.sleep(min(_LOOK_S, patience_s))
