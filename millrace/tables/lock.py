"""One at a time, among threads and processes of a machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from millrace.errors import WorkError


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Holds the lock of a file, which is made where it is not there; waits for whoever has it.

    A process that is killed gives it back. Raises `WorkError` where the folder cannot be written.
    """
    try:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WorkError(str(path.parent), f"cannot be written ({error.strerror})", "a folder with room") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
