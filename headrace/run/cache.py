"""A cache of the results of stages, so that no work is done twice.

The key of a result is a hash of its inputs and of the code. An entry is a folder that appears whole
or not at all:

    cache/3f9a…/value.json     the value, with names in the place of arrays and tables
                1.npy 2.arrow  each array and each table
                sums.json      the checksum of each file

A damaged entry counts as absent. Nothing is pickled.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import polars as pl

from headrace._version import __version__
from headrace.errors import DECODE_ERRORS
from headrace.spec import System
from headrace.tables import atomic_file, atomic_folder, publish_folder

T = TypeVar("T")
FORMAT = 1
"""The format of an entry. It is part of the key, so that no entry of another format is found."""
MOST_BYTES = 5 * 2**30
_SUMS = "sums.json"


def cache_key(*inputs: Any) -> str:
    """Return the key of a result: equal inputs and equal code give equal keys.

    >>> cache_key("a", {"b": 1}) == cache_key("a", {"b": 1}) != cache_key("a", {"b": 2})
    True
    """
    text = msgspec.json.encode([FORMAT, _code(), *inputs], order="deterministic")
    return hashlib.sha256(text).hexdigest()[:32]


@cache
def _code() -> str:
    """Return the version and a hash of this package's files, wherever it is installed."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return __version__ + digest.hexdigest()


def clean(system: System, most_bytes: int = 0) -> int:
    """Remove the least recently used entries of a system's cache; return the bytes of the rest.

    Bundles, runs and the record of decisions stay.
    """
    return Cache(system.workspace.cache).trim(most_bytes)


class Cache:
    """Values in a folder. Beyond `most_bytes` the least recently used ones are removed."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self.most_bytes = most_bytes

    def get(self, kind: type[T], name: str) -> T | None:
        """Return the value under a key; None where there is none. Remove a damaged one."""
        entry = self.folder / name
        try:
            sums = msgspec.json.decode((entry / _SUMS).read_bytes(), type=dict[str, str])
            if any(_sum(entry / file) != expected for file, expected in sums.items()):
                raise ValueError("a changed byte")
            value = _read(kind, entry)
            os.utime(entry)
        except FileNotFoundError:
            if entry.exists():
                shutil.rmtree(entry, ignore_errors=True)
            return None
        except (ValueError, OSError, pl.exceptions.PolarsError, *DECODE_ERRORS):
            shutil.rmtree(entry, ignore_errors=True)
            return None
        return value

    def put(self, value: Any, name: str) -> None:
        """Store a value in the place of an older one."""
        with atomic_folder(self.folder) as folder:
            _write(value, folder)
            sums = {file.name: _sum(file) for file in folder.iterdir()}
            (folder / _SUMS).write_bytes(msgspec.json.encode(sums))
            if not publish_folder(folder, self.folder / name):
                shutil.rmtree(self.folder / name, ignore_errors=True)
                # If another process is faster, its value stays: the inputs were the same.
                publish_folder(folder, self.folder / name)
        self.trim(self.most_bytes)

    def make(self, kind: type[T], name: str, make: Callable[[], T], fresh: bool) -> T:
        """Return the stored value, or make one and store it; with `fresh`, always make one."""
        value = None if fresh else self.get(kind, name)
        if value is None:
            value = make()
            self.put(value, name)
        return value

    def trim(self, most_bytes: int) -> int:
        """Remove the least recently used entries until the rest holds at most `most_bytes`.

        Return the bytes of the rest. Another process may replace and remove entries meanwhile.
        """
        if not self.folder.is_dir():
            return 0
        entries = []
        for entry in self.folder.iterdir():
            with suppress(FileNotFoundError, NotADirectoryError):
                if not entry.name.startswith("."):
                    size = sum(file.stat().st_size for file in entry.iterdir())
                    entries.append((entry.stat().st_mtime_ns, size, entry))
        total = sum(size for _, size, _ in entries)
        for _, size, entry in sorted(entries):
            if total <= most_bytes:
                break
            shutil.rmtree(entry, ignore_errors=True)
            total -= size
        return total


def checksums(files: dict[str, Path], memory: Path) -> dict[str, str]:
    """Return the checksum of each file.

    The file `memory` remembers checksums by size and time of change, so that a large file is read
    once. It is not written where its folder is absent: input that cannot be used leaves nothing
    behind.
    """
    try:
        known = msgspec.json.decode(memory.read_bytes(), type=dict[str, str])
    except (OSError, *DECODE_ERRORS):
        known = {}
    sums = {}
    is_changed = False
    for name, file in files.items():
        if not file.exists():
            sums[name] = "absent"  # reading it raises the error
            continue
        status = file.stat()
        stamp = f"{file.absolute()} {status.st_size} {status.st_mtime_ns} {status.st_ino}"
        if stamp not in known:
            known[stamp] = _sum(file)
            is_changed = True
        sums[name] = known[stamp]
    if is_changed and memory.parent.is_dir():
        with atomic_file(memory) as draft:
            draft.write_bytes(msgspec.json.encode(known))
    return sums


def _sum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()[:32]


def _write(value: Any, folder: Path) -> None:
    count = 0

    def write_part(part: Any) -> str:
        nonlocal count
        count += 1
        if isinstance(part, np.ndarray):
            np.save(folder / f"{count}.npy", part, allow_pickle=False)
            return f"{count}.npy"
        if isinstance(part, pl.DataFrame):
            part.write_ipc(folder / f"{count}.arrow", compat_level=pl.CompatLevel.newest())
            return f"{count}.arrow"
        raise NotImplementedError(f"{type(part)} cannot be stored")

    (folder / "value.json").write_bytes(msgspec.json.encode(value, enc_hook=write_part))


def _read(kind: type[T], folder: Path) -> T:
    def read_part(kind: Any, file: str) -> Any:
        if file.endswith(".npy"):
            return np.load(folder / file, allow_pickle=False)
        return pl.read_ipc(folder / file)

    text = (folder / "value.json").read_bytes()
    return msgspec.json.decode(text, type=kind, dec_hook=read_part)
