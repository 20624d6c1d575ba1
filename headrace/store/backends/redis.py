"""The online store on a server: Redis.

What was written survives when our process is killed. Whether it survives when the server is killed
is the server's setting `appendfsync` (`always`: nothing is lost, `everysec`: a second). The log
brings back what the server lost.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from headrace.errors import InputError, WorkError
from headrace.spec import mask_secrets, resolve_address
from headrace.store.store import Changes

T = TypeVar("T")
_PATTERN_CHARACTERS = b"*?[]^-\\"


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

        self._prefix = f"headrace:{name}:".encode()
        self._error = redis.RedisError
        self._connection_error = redis.ConnectionError
        self._local = threading.local()
        try:
            # No second try: whoever reads windows goes on without them rather than wait.
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

        # For messages: built from its parts, so that no password is in it.
        info = self._client.connection_pool.connection_kwargs
        self._where = f"redis://{info.get('host', info.get('path'))}:{info.get('port', '')}"
        self._call(self._client.ping)

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `Store`."""
        # Redis refuses to read no keys.
        if not keys:
            return []
        return self._call(lambda: self._read([self._prefix + key for key in keys]))

    def members(self, keys: Sequence[bytes]) -> list[set[bytes]]:
        """See `Store`."""
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.smembers(self._prefix + key)
        return self._call(pipe.execute)

    def write(self, changes: Changes) -> None:
        """See `Store`."""
        pipe = self._client.pipeline(transaction=True)
        for key, value in changes.puts.items():
            pipe.set(self._prefix + key, value)
        if changes.gone:
            pipe.delete(*(self._prefix + key for key in changes.gone))
        for change, sets in ((pipe.sadd, changes.added), (pipe.srem, changes.removed)):
            for key, members in sets.items():
                # Redis refuses to add or remove no members.
                if members:
                    change(self._prefix + key, *members)
        self._call(pipe.execute)

    def page(
        self, prefix: bytes, cursor: bytes, most: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """See `Store`."""
        after, keys = self._scan(prefix, cursor, most, "string")
        values = self._call(lambda: self._client.mget(keys)) if keys else []
        page = []
        for key, value in zip(keys, values, strict=True):
            # A key may have been deleted between the two calls.
            if value is not None:
                page.append((key.removeprefix(self._prefix), value))
        return page, after

    def clear(self, prefix: bytes) -> None:
        """See `Store`."""
        cursor = b""
        while True:
            cursor, keys = self._scan(prefix, cursor, 1000, None)
            if keys:
                # Frees the memory in the background, which `delete` does not.
                self._call(partial(self._client.unlink, *keys))
            if not cursor:
                return

    def close(self) -> None:
        """See `Store`."""
        self._client.close()

    def _read(self, keys: list[bytes]) -> Any:
        """Read values on a connection that the thread keeps.

        The client's pool would take as long as the way to the server and back. A connection that
        broke meanwhile connects once more.
        """
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._client.connection_pool.get_connection()
        try:
            connection.send_command("MGET", *keys)
            return connection.read_response()
        except self._connection_error:
            connection.send_command("MGET", *keys)
            return connection.read_response()

    def _scan(
        self, prefix: bytes, cursor: bytes, most: int, kind: str | None
    ) -> tuple[bytes, list[bytes]]:
        """Scan about `most` keys of a prefix; return the cursor of the next scan, and the keys."""
        pattern = _escape_pattern(self._prefix + prefix) + b"*"
        after, keys = self._call(
            lambda: self._client.scan(int(cursor or b"0"), match=pattern, count=most, _type=kind)
        )
        return (str(after).encode() if after else b""), keys

    def _call(self, do: Callable[[], T]) -> T:
        """Call the client; raise `WorkError` where the server does not answer."""
        try:
            return do()
        except self._error as error:
            raise WorkError(
                self._where, f"the online store does not answer ({error})", "a running Redis"
            ) from None


def _escape_pattern(text: bytes) -> bytes:
    """Return a pattern of Redis that matches a text itself.

    >>> _escape_pattern(b"g*")
    b'g\\\\*'
    """
    escaped = b""
    for code in text:
        if code in _PATTERN_CHARACTERS:
            escaped += b"\\"
        escaped += bytes([code])
    return escaped
