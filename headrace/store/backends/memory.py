"""An online store in the memory of one process: the seam at its plainest, for tests."""

import threading
from collections.abc import Sequence
from heapq import nsmallest

from headrace.store.store import Changes


class MemoryStore:
    """A store in two dictionaries. A lock makes each call one step for all threads.

    >>> store = MemoryStore()
    >>> store.write(Changes(puts={b"a": b"1"}, added={b"s": {b"x", b"y"}}))
    >>> store.read([b"a", b"b"]), sorted(*store.members([b"s"]))
    ([b'1', None], [b'x', b'y'])
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[bytes, bytes] = {}
        self._sets: dict[bytes, set[bytes]] = {}

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `Store`."""
        with self._lock:
            return [self._values.get(key) for key in keys]

    def members(self, keys: Sequence[bytes]) -> list[set[bytes]]:
        """See `Store`."""
        with self._lock:
            return [set(self._sets.get(key, ())) for key in keys]

    def write(self, changes: Changes) -> None:
        """See `Store`."""
        with self._lock:
            self._values |= changes.puts
            for key in changes.gone:
                self._values.pop(key, None)
            for key, members in changes.added.items():
                self._sets.setdefault(key, set()).update(members)
            for key, members in changes.removed.items():
                self._sets.get(key, set()).difference_update(members)

    def page(
        self, prefix: bytes, cursor: bytes, most: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """See `Store`."""
        with self._lock:
            remaining = (key for key in self._values if key.startswith(prefix) and key >= cursor)
            keys = nsmallest(most + 1, remaining)
            values = [(key, self._values[key]) for key in keys[:most]]
        return values, keys[most] if len(keys) > most else b""

    def clear(self, prefix: bytes) -> None:
        """See `Store`."""
        with self._lock:
            self._values = {k: v for k, v in self._values.items() if not k.startswith(prefix)}
            self._sets = {k: v for k, v in self._sets.items() if not k.startswith(prefix)}

    def close(self) -> None:
        """See `Store`."""
