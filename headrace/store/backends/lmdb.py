"""The online store in a file beside the spec: LMDB, read by many processes without a lock."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lmdb

from headrace.errors import WorkError
from headrace.store.store import Changes

_READERS = 1022
_MAP_BYTES, _LEAST_MAP_BYTES = 2**36, 2**26


class LmdbStore:
    """A store in a folder.

    The map is a reserve of addresses, not of memory or disk, and larger than most stores will ever
    be. It grows as it fills, also under processes that have it open, but no thread of its own
    process may be reading then. Readers that were killed leave their slot behind, which would keep
    old pages alive; whoever opens the store takes them away. Without `sync` a killed process loses
    nothing, but a loss of power may damage the file, which is then filled anew from history and
    log.
    """

    def __init__(self, folder: Path, sync: bool = False, map_bytes: int = _MAP_BYTES) -> None:
        self._folder, self._sync, self._map_bytes = folder, sync, map_bytes
        self._where, self._lock = str(folder), threading.RLock()
        self._file, self._bytes = -1, 0
        self._gone: list[Any] = []
        self._open()

    def _open(self) -> None:
        try:
            reads_alone = self._folder.is_dir() and not os.access(self._folder, os.W_OK)
            if not reads_alone:
                self._folder.mkdir(parents=True, exist_ok=True)
            self._env = self._mapped(reads_alone)
            self._watch()
            self._values = self._env.open_db(b"values")
            self._sets = self._env.open_db(b"sets", dupsort=True)
        except (lmdb.Error, OSError) as error:
            raise WorkError(
                self._where, f"the online store cannot be opened ({error})", "a folder with room"
            ) from None
        if not reads_alone:
            self._env.reader_check()

    def _mapped(self, reads_alone: bool) -> Any:
        """With as large a map as this process may have addresses."""
        size = self._map_bytes
        while True:
            try:
                return lmdb.open(
                    self._where, map_size=size, max_dbs=2, max_readers=_READERS, sync=self._sync,
                    metasync=self._sync, readonly=reads_alone, lock=not reads_alone,
                )  # fmt: skip
            except lmdb.MemoryError:
                if size <= _LEAST_MAP_BYTES:
                    raise
                size //= 4

    def _watch(self) -> None:
        """Keeps an eye on the open file: to touch what is missing at its end would end the process."""
        if self._file >= 0:
            os.close(self._file)
        self._file = os.open(self._folder / "data.mdb", os.O_RDONLY)
        self._bytes = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        if os.fstat(self._file).st_size < self._bytes:
            self._env.close()
            raise self._cut_off()

    def _check(self) -> None:
        """Follows a folder that was removed and made anew; raises `WorkError` where the file was cut off."""
        found = os.fstat(self._file)
        if found.st_nlink == 0:
            with self._lock:
                if os.fstat(self._file).st_nlink == 0:
                    self._gone.append(self._env)  # other threads may still read in it
                    self._open()
                    return
        if found.st_size < self._bytes:
            raise self._cut_off()
        self._bytes = found.st_size

    def _cut_off(self) -> WorkError:
        do = "remove the folder; `headrace materialize DIR` fills it anew from history and log"
        return WorkError(
            self._where, "the online store was cut off", "the file as it was written", do
        )

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `Store`."""
        self._check()
        with self._begin(self._values) as transaction:
            get = transaction.get
            return [get(key) for key in keys]

    def members(self, keys: Sequence[bytes]) -> list[set[bytes]]:
        """See `Store`."""
        self._check()
        with self._begin(self._sets) as transaction, transaction.cursor() as cursor:
            return [set(cursor.iternext_dup()) if cursor.set_key(key) else set() for key in keys]

    def write(self, changes: Changes) -> None:
        """See `Store`."""

        def write(transaction: Any) -> None:
            for key, value in changes.puts.items():
                transaction.put(key, value, db=self._values)
            for key in changes.gone:
                transaction.delete(key, db=self._values)
            for change, sets in (
                (transaction.put, changes.added),
                (transaction.delete, changes.removed),
            ):
                for key, members in sets.items():
                    for member in members:
                        change(key, member, db=self._sets)

        self._written(write)

    def page(
        self, prefix: bytes, cursor: bytes, most: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """See `Store`."""
        self._check()
        found: list[tuple[bytes, bytes]] = []
        with self._begin(self._values) as transaction, transaction.cursor() as at:
            going = at.set_range(cursor or prefix)
            while going and at.key().startswith(prefix):
                if len(found) == most:
                    return found, at.key()
                found.append((at.key(), at.value()))
                going = at.next()
        return found, b""

    def clear(self, prefix: bytes) -> None:
        """See `Store`."""

        def clear(transaction: Any) -> None:
            for database in (self._values, self._sets):
                with transaction.cursor(database) as cursor:
                    going = cursor.set_range(prefix)
                    while going and cursor.key().startswith(prefix):
                        going = cursor.delete(dupdata=True)

        self._written(clear)

    def close(self) -> None:
        """See `Store`."""
        self._env.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _begin(self, database: Any) -> Any:
        """A reading transaction, once more after what can be mended."""
        try:
            return self._env.begin(database)
        except lmdb.Error as error:
            with self._lock:
                self._mend(error)
            return self._env.begin(database)

    def _written(self, write: Callable[[Any], None]) -> None:
        """Writes in one transaction, again as long as it can be mended."""
        with self._lock:
            self._check()
            while True:
                try:
                    with self._env.begin(write=True) as transaction:
                        return write(transaction)
                except lmdb.Error as error:
                    self._mend(error)

    def _mend(self, error: lmdb.Error) -> None:
        """Grows the map where it is full or another process has grown it; forgets readers that are
        no more. Raises `WorkError` for anything else.
        """
        try:
            if isinstance(error, lmdb.MapFullError):
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            elif isinstance(error, lmdb.MapResizedError):
                self._env.set_mapsize(0)
            elif isinstance(error, lmdb.ReadersFullError) and self._env.reader_check():
                return
            else:
                raise error
        except lmdb.Error as found:
            raise WorkError(
                self._where, f"the online store failed ({found})", "a disk with room"
            ) from None
