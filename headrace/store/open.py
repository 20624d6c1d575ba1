"""The log and the online store of a system, each opened once in a process: LMDB allows no more."""

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
    """The store of a system: LMDB in `folder`, or Redis at a URL, where its keys begin with the
    system's `name`.

    Raises `InputError` for a URL that is none of a store.
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
    """The online store of a system; a server that is silent for longer than `timeout_s` counts as gone."""
    folder, sync = system.workspace.online, system.log.fsync
    if system.store is None:
        return _embedded(folder, sync)
    # Two workspaces may hold systems of one name, and share a server.
    name = ":".join(filter(None, [system.name, system.workspace.id]))
    return _server(system.store, folder, name, timeout_s)


def open_pusher(system: System, patience_s: float | None = None) -> Pusher:
    """Takes the events that are pushed to a system; raises `InputError` where its store was never filled."""
    return Pusher(open_store(system), open_log(system, patience_s))


@cache
def _embedded(folder: Path, sync: bool) -> Store:
    return open_backend(None, folder, "", sync)


@cache
def _server(url: str, folder: Path, name: str, timeout_s: float) -> Store:
    return open_backend(url, folder, name, timeout_s=timeout_s)
