"""The online store in a file of the workspace: LMDB, which many processes read without a lock."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lmdb

from headrace.errors import WorkError
from headrace.store.store import Changes

_READERS = 1022
_MAP_BYTES = 2**36
_LEAST_MAP_BYTES = 2**26


class LmdbStore:
    """A store in a folder.

    The map is a reserve of addresses, not of memory or disk, and larger than most stores will ever
    be. It grows as it fills, also under processes that have it open, but no thread of this process
    may be reading while it grows. A reader that is killed leaves its slot behind, which would keep
    old pages alive; opening the store frees such slots.

    Without `sync` a killed process loses nothing, but a loss of power may damage the file. It is
    then filled anew from history and log.
    """

    def __init__(self, folder: Path, sync: bool = False, map_bytes: int = _MAP_BYTES) -> None:
        self._folder = folder
        self._where = str(folder)
        self._sync = sync
        self._map_bytes = map_bytes
        self._lock = threading.RLock()
        # The open file and its size, by which `_check` sees that it was removed or cut off.
        self._file = -1
        self._bytes = 0
        # Environments of removed folders, in which other threads may still read.
        self._removed: list[Any] = []
        self._open()

    def _open(self) -> None:
        try:
            is_read_only = self._folder.is_dir() and not os.access(self._folder, os.W_OK)
            if not is_read_only:
                self._folder.mkdir(parents=True, exist_ok=True)
            self._env = self._open_environment(is_read_only)
            self._watch_file()
            self._values = self._env.open_db(b"values")
            self._sets = self._env.open_db(b"sets", dupsort=True)
        except (lmdb.Error, OSError) as error:
            raise WorkError(
                self._where, f"the online store cannot be opened ({error})", "a writable folder"
            ) from None
        if not is_read_only:
            self._env.reader_check()

    def _open_environment(self, is_read_only: bool) -> Any:
        """Open the environment with as large a map as this process may have addresses."""
        size = self._map_bytes
        while True:
            try:
                return lmdb.open(
                    self._where,
                    map_size=size,
                    max_dbs=2,
                    max_readers=_READERS,
                    sync=self._sync,
                    metasync=self._sync,
                    readonly=is_read_only,
                    lock=not is_read_only,
                )
            except lmdb.MemoryError:
                if size <= _LEAST_MAP_BYTES:
                    raise
                size //= 4

    def _watch_file(self) -> None:
        """Open the file, and note its size: to touch pages that it lost would end the process."""
        if self._file >= 0:
            os.close(self._file)
        self._file = os.open(self._folder / "data.mdb", os.O_RDONLY)
        self._bytes = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        if os.fstat(self._file).st_size < self._bytes:
            self._env.close()
            raise self._cut_off_error()

    def _check(self) -> None:
        """Open the store again where its folder was removed and created anew.

        Raises `WorkError` where the file was cut off.
        """
        status = os.fstat(self._file)
        if status.st_nlink == 0:
            with self._lock:
                # Another thread may have opened it meanwhile.
                if os.fstat(self._file).st_nlink == 0:
                    self._removed.append(self._env)
                    self._open()
                    return
        if status.st_size < self._bytes:
            raise self._cut_off_error()
        self._bytes = status.st_size

    def _cut_off_error(self) -> WorkError:
        do = "remove the folder; `headrace materialize DIR` refills it from history and log"
        return WorkError(
            self._where, "the online store was truncated", "the file as it was written", do
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
        # A set is one key with many values, which LMDB sorts.
        with self._begin(self._sets) as transaction, transaction.cursor() as cursor:
            return [set(cursor.iternext_dup()) if cursor.set_key(key) else set() for key in keys]

    def write(self, changes: Changes) -> None:
        """See `Store`."""

        def write(transaction: Any) -> None:
            for key, value in changes.puts.items():
                transaction.put(key, value, db=self._values)
            for key in changes.gone:
                transaction.delete(key, db=self._values)
            for key, members in changes.added.items():
                for member in members:
                    transaction.put(key, member, db=self._sets)
            for key, members in changes.removed.items():
                for member in members:
                    transaction.delete(key, member, db=self._sets)

        self._commit(write)

    def page(
        self, prefix: bytes, cursor: bytes, most: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """See `Store`."""
        self._check()
        values: list[tuple[bytes, bytes]] = []
        with self._begin(self._values) as transaction, transaction.cursor() as at:
            has_more = at.set_range(cursor or prefix)
            while has_more and at.key().startswith(prefix):
                if len(values) == most:
                    return values, at.key()
                values.append((at.key(), at.value()))
                has_more = at.next()
        return values, b""

    def clear(self, prefix: bytes) -> None:
        """See `Store`."""

        def clear(transaction: Any) -> None:
            for database in (self._values, self._sets):
                with transaction.cursor(database) as cursor:
                    has_more = cursor.set_range(prefix)
                    while has_more and cursor.key().startswith(prefix):
                        has_more = cursor.delete(dupdata=True)

        self._commit(clear)

    def close(self) -> None:
        """See `Store`."""
        self._env.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _begin(self, database: Any) -> Any:
        """Begin a transaction that reads; try once more after an error that can be mended."""
        try:
            return self._env.begin(database)
        except lmdb.Error as error:
            with self._lock:
                self._mend(error)
            return self._env.begin(database)

    def _commit(self, write: Callable[[Any], None]) -> None:
        """Write in one transaction; try again as long as the error can be mended."""
        with self._lock:
            self._check()
            while True:
                try:
                    with self._env.begin(write=True) as transaction:
                        return write(transaction)
                except lmdb.Error as error:
                    self._mend(error)

    def _mend(self, error: lmdb.Error) -> None:
        """Mend an error: grow the map, or free the slots of readers that were killed.

        The map grows where it is full, or where another process has grown it. Raises `WorkError`
        for every other error.
        """
        try:
            if isinstance(error, lmdb.MapFullError):
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            elif isinstance(error, lmdb.MapResizedError):
                # 0 takes the size that the other process has set.
                self._env.set_mapsize(0)
            elif isinstance(error, lmdb.ReadersFullError) and self._env.reader_check():
                return
            else:
                raise error
        except lmdb.Error as unmended:
            raise WorkError(
                self._where, f"the online store failed ({unmended})", "a disk with free space"
            ) from None
