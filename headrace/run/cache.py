"""Results of stages, kept under the name of what they were made of, so that nothing is done twice.

An entry is a folder that appears whole or not at all, with the checksum of each of its files; a
damaged one is as good as absent. Values are written as JSON, with every array as `.npy` and every
table as Arrow beside it: no pickle.
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
from headrace.tables import atomic_file, atomic_folder, publish_folder

T = TypeVar("T")
FORMAT = 1
"""The format of an entry: one of another format has another name, and is never looked for."""
MOST_BYTES = 5 * 2**30
_SUMS = "sums.json"


def cache_key(*made_of: Any) -> str:
    """A name for what a result was made of: equal parts and equal code give equal names.

    >>> cache_key("a", {"b": 1}) == cache_key("a", {"b": 1}) != cache_key("a", {"b": 2})
    True
    """
    text = msgspec.json.encode([FORMAT, _code(), *made_of], order="deterministic")
    return hashlib.sha256(text).hexdigest()[:32]


@cache
def _code() -> str:
    """The version of this package, and the content of its files: the same wherever it is installed."""
    home, digest = Path(__file__).parent.parent, hashlib.sha256()
    for file in sorted(home.rglob("*.py")):
        digest.update(f"{file.relative_to(home).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return __version__ + digest.hexdigest()


class Cache:
    """Kept values in a folder, the least recently used ones beyond `most_bytes` removed."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self.most_bytes = folder, most_bytes

    def get(self, kind: type[T], name: str) -> T | None:
        """The value under a name; none where there is none, or a damaged one, which is removed."""
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
        """Keeps a value in the place of an older one."""
        with atomic_folder(self.folder) as beside:
            _write(value, beside)
            sums = {file.name: _sum(file) for file in beside.iterdir()}
            (beside / _SUMS).write_bytes(msgspec.json.encode(sums))
            if not publish_folder(beside, self.folder / name):
                shutil.rmtree(self.folder / name, ignore_errors=True)
                publish_folder(
                    beside, self.folder / name
                )  # where another process was faster its value stays, made of the same
        self.trim(self.most_bytes)

    def make(self, kind: type[T], name: str, make: Callable[[], T], fresh: bool) -> T:
        """The kept value, or the one that `make` makes, which is kept; a `fresh` one is always made."""
        found = None if fresh else self.get(kind, name)
        if found is None:
            found = make()
            self.put(found, name)
        return found

    def trim(self, most_bytes: int) -> int:
        """Removes entries, the least recently used first, until they hold no more than this;
        returns what they hold.

        Another process may replace and remove entries meanwhile.
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
    """The checksum of each file; `memory` keeps them by size and time of change, so that large ones
    are not read again.

    It is not written where its folder is absent: input that cannot be used leaves nothing behind.
    """
    try:
        known = msgspec.json.decode(memory.read_bytes(), type=dict[str, str])
    except (OSError, *DECODE_ERRORS):
        known = {}
    found, fresh = {}, False
    for name, file in files.items():
        if not file.exists():
            found[name] = "absent"  # whoever reads it says so
            continue
        status = file.stat()
        stamp = f"{file.absolute()} {status.st_size} {status.st_mtime_ns} {status.st_ino}"
        if stamp not in known:
            known[stamp], fresh = _sum(file), True
        found[name] = known[stamp]
    if fresh and memory.parent.is_dir():
        with atomic_file(memory) as beside:
            beside.write_bytes(msgspec.json.encode(known))
    return found


def _sum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()[:32]


def _write(value: Any, folder: Path) -> None:
    count = 0

    def beside(part: Any) -> str:
        nonlocal count
        count += 1
        if isinstance(part, np.ndarray):
            np.save(folder / f"{count}.npy", part, allow_pickle=False)
            return f"{count}.npy"
        if isinstance(part, pl.DataFrame):
            part.write_ipc(folder / f"{count}.arrow", compat_level=pl.CompatLevel.newest())
            return f"{count}.arrow"
        raise NotImplementedError(f"{type(part)} cannot be kept")

    (folder / "value.json").write_bytes(msgspec.json.encode(value, enc_hook=beside))


def _read(kind: type[T], folder: Path) -> T:
    def part(kind: Any, file: str) -> Any:
        if file.endswith(".npy"):
            return np.load(folder / file, allow_pickle=False)
        return pl.read_ipc(folder / file)

    return msgspec.json.decode((folder / "value.json").read_bytes(), type=kind, dec_hook=part)
