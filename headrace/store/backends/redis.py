"""The online store on a server: Redis.

What was written survives a killed process of ours; whether it survives a killed server is the
server's setting `appendfsync` (`always`: nothing is lost, `everysec`: a second). What it lost comes
back from the log.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from headrace.errors import InputError, WorkError
from headrace.spec import mask_secrets, resolve_address
from headrace.store.store import Changes

T = TypeVar("T")


class RedisStore:
    """A store in the keys of a server that begin with `headrace:NAME:`."""

    def __init__(self, url: str, name: str, timeout_s: float = 5.0) -> None:
        address = resolve_address(url, "store")
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise WorkError(
                "store", "redis is not installed", "", "pip install 'headrace[redis]'"
            ) from None
        self._prefix, self._error, self._gone = (
            f"headrace:{name}:".encode(),
            redis.RedisError,
            redis.ConnectionError,
        )
        self._local = threading.local()
        try:
            self._client: Any = redis.Redis.from_url(
                address,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise InputError(
                "store", f"{url} ({mask_secrets(str(error), url)})", "redis://HOST:PORT/NUMBER"
            ) from None
        info = self._client.connection_pool.connection_kwargs  # without the password
        self._where = f"redis://{info.get('host', info.get('path'))}:{info.get('port', '')}"
        self._asked(self._client.ping)

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `Store`."""
        return self._asked(lambda: self._read([self._prefix + key for key in keys])) if keys else []

    def members(self, keys: Sequence[bytes]) -> list[set[bytes]]:
        """See `Store`."""
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.smembers(self._prefix + key)
        return self._asked(pipe.execute)

    def write(self, changes: Changes) -> None:
        """See `Store`."""
        pipe = self._client.pipeline(transaction=True)
        for key, value in changes.puts.items():
            pipe.set(self._prefix + key, value)
        if changes.gone:
            pipe.delete(*(self._prefix + key for key in changes.gone))
        for change, sets in ((pipe.sadd, changes.added), (pipe.srem, changes.removed)):
            for key, members in sets.items():
                if members:
                    change(self._prefix + key, *members)
        self._asked(pipe.execute)

    def page(
        self, prefix: bytes, cursor: bytes, most: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """See `Store`."""
        after, keys = self._scanned(prefix, cursor, most, "string")
        values = self._asked(lambda: self._client.mget(keys)) if keys else []
        plain = [key.removeprefix(self._prefix) for key in keys]
        return [
            (key, value) for key, value in zip(plain, values, strict=True) if value is not None
        ], after

    def clear(self, prefix: bytes) -> None:
        """See `Store`."""
        cursor = b""
        while True:
            cursor, keys = self._scanned(prefix, cursor, 1000, None)
            if keys:
                self._asked(partial(self._client.unlink, *keys))
            if not cursor:
                return

    def close(self) -> None:
        """See `Store`."""
        self._client.close()

    def _read(self, keys: list[bytes]) -> Any:
        """On a connection that the thread keeps: the client's pool takes as long as the way to the
        server and back. One that broke meanwhile connects once more.
        """
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._client.connection_pool.get_connection()
        try:
            connection.send_command("MGET", *keys)
            return connection.read_response()
        except self._gone:
            connection.send_command("MGET", *keys)
            return connection.read_response()

    def _scanned(
        self, prefix: bytes, cursor: bytes, most: int, kind: str | None
    ) -> tuple[bytes, list[bytes]]:
        escaped = b"".join(
            b"\\" + bytes([one]) if one in b"*?[]^-\\" else bytes([one])
            for one in self._prefix + prefix
        )
        after, keys = self._asked(
            lambda: self._client.scan(
                int(cursor or b"0"), match=escaped + b"*", count=most, _type=kind
            )
        )
        return (str(after).encode() if after else b""), keys

    def _asked(self, do: Callable[[], T]) -> T:
        try:
            return do()
        except self._error as error:
            raise WorkError(
                self._where, f"the online store does not answer ({error})", "a running Redis"
            ) from None
