"""Opens the log and the online store of a system, each once in a process: LMDB allows no more."""

from functools import cache
from pathlib import Path

from headrace.errors import InputError
from headrace.log import open_log
from headrace.spec import System, show_address
from headrace.store.pusher import Pusher
from headrace.store.store import Store


def open_backend(
    url: str | None, folder: Path, name: str, sync: bool = False, timeout_s: float = 5.0
) -> Store:
    """Open the store at a URL or, where there is no URL, the LMDB store in a folder.

    Parameters: `name`, with which the keys of a store on a server begin; `sync`: whether LMDB waits
    for the disk; `timeout_s`: how long a server may be silent. Raises `InputError` for a URL that
    no backend knows.
    """
    if url is None:
        from headrace.store.backends.lmdb import LmdbStore

        return LmdbStore(folder, sync)
    if url.startswith(("redis://", "rediss://", "unix://")):
        from headrace.store.backends.redis import RedisStore

        return RedisStore(url, name, timeout_s)
    raise InputError(
        "store", show_address(url), "nothing (LMDB in the workspace) or redis://HOST:PORT/NUMBER"
    )


def open_store(system: System, timeout_s: float = 5.0) -> Store:
    """Open the online store of a system.

    A server that is silent for longer than `timeout_s` counts as gone.
    """
    folder = system.workspace.online
    sync = system.log.fsync
    if system.store is None:
        return _open_embedded(folder, sync)
    # Two workspaces may hold systems of one name, and share a server.
    name = ":".join(filter(None, [system.name, system.workspace.id]))
    return _open_server(system.store, folder, name, timeout_s)


def open_pusher(system: System, patience_s: float | None = None) -> Pusher:
    """Open the store and the log of a system for pushes.

    A push waits `patience_s` for its turn to append to the log, or for as long as it takes. Raises
    `InputError` where the store was never filled.
    """
    return Pusher(open_store(system), open_log(system, patience_s))


@cache
def _open_embedded(folder: Path, sync: bool) -> Store:
    return open_backend(None, folder, "", sync)


@cache
def _open_server(url: str, folder: Path, name: str, timeout_s: float) -> Store:
    return open_backend(url, folder, name, timeout_s=timeout_s)
