"""The traps of LMDB: a full map, one writer among processes, readers that were killed."""

import multiprocessing
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import lmdb
import pytest

from headrace.errors import WorkError
from headrace.store.backends.lmdb import LmdbStore
from headrace.store.store import Changes

SMALL = 2**16
spawned = multiprocessing.get_context("spawn")


def test_a_map_grows_as_it_fills(tmp_path: Path) -> None:
    with closing(LmdbStore(tmp_path, map_bytes=SMALL)) as store:
        for at in range(50):
            store.write(Changes(puts={b"%d" % at: bytes(10_000)}))
        store.write(Changes(puts={b"large": bytes(5_000_000)}))
        assert [len(value or b"") for value in store.read([b"0", b"49", b"large"])] == [
            10_000,
            10_000,
            5_000_000,
        ]


def _fill(folder: Path) -> None:
    with closing(LmdbStore(folder, map_bytes=SMALL)) as store:
        store.write(Changes(puts={b"%d" % at: bytes(10_000) for at in range(100)}))


def test_a_map_that_another_process_has_grown_is_followed(tmp_path: Path) -> None:
    with closing(LmdbStore(tmp_path, map_bytes=SMALL)) as store:
        store.write(Changes(puts={b"a": b"1"}))
        with spawned.Pool(1) as pool:
            pool.apply(_fill, (tmp_path,))
        assert store.read([b"a"]) == [b"1"]
        assert store.members([b"a"]) == [set()]
        assert [len(value or b"") for value in store.read([b"99"])] == [10_000]
        assert len(store.page(b"", b"", 1000)[0]) == 101
        store.write(Changes(puts={b"b": bytes(100_000)}))


def _count(folder: Path) -> None:
    with closing(LmdbStore(folder)) as store:
        for at in range(200):
            store.write(Changes(puts={b"%d-%d" % (os.getpid(), at): b"1"}))


def test_processes_that_write_wait_for_each_other(tmp_path: Path) -> None:
    workers = [spawned.Process(target=_count, args=(tmp_path,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with closing(LmdbStore(tmp_path)) as store:
        assert len(store.page(b"", b"", 10_000)[0]) == 600


def _read_and_hang(folder: Path, ready: Any) -> None:
    environment = lmdb.open(str(folder), max_dbs=2, max_readers=1022)
    with environment.begin():  # a reader in the middle of its read
        ready.send(True)
        signal.pause()


def test_readers_that_were_killed_are_forgotten(tmp_path: Path) -> None:
    """A reader that is no more would keep every page that it could still read: the file would grow
    for ever.
    """
    with closing(LmdbStore(tmp_path)) as store:
        store.write(Changes(puts={b"a": bytes(100_000)}))
    ours, theirs = spawned.Pipe()
    reader = spawned.Process(target=_read_and_hang, args=(tmp_path, theirs))
    reader.start()
    assert ours.recv()
    assert reader.pid is not None
    os.kill(reader.pid, signal.SIGKILL)
    reader.join()
    with closing(LmdbStore(tmp_path)) as store:
        for at in range(200):
            store.write(Changes(puts={b"a": bytes([at % 256]) * 100_000}))
    assert (tmp_path / "data.mdb").stat().st_size < 2_000_000


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="the online store cannot be opened"):
        LmdbStore(tmp_path / "file")
