"""The seam of the online store: bytes by key and sets of bytes by key, written in one step, read in
one round trip.

An implementation is one file of `backends/`: `lmdb.py` (the default), `redis.py`, `memory.py`. One
suite of tests holds all of them to this page.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct, field


class Changes(Struct):
    """What is written in one step: values put and keys `gone`, members `added` to sets and
    `removed` from them.

    A set without members is no more.
    """

    puts: dict[bytes, bytes] = field(default_factory=dict)
    gone: set[bytes] = field(default_factory=set)
    added: dict[bytes, set[bytes]] = field(default_factory=dict)
    removed: dict[bytes, set[bytes]] = field(default_factory=dict)

    def merge(self, more: "Changes") -> None:
        """Further changes, of other keys."""
        self.puts |= more.puts
        self.gone |= more.gone
        self.added |= more.added
        self.removed |= more.removed


class Store(Protocol):
    """Values and sets by keys of up to 480 bytes. Many may read; what one writes the others see
    whole or not at all.

    Every method raises `WorkError` where the store is gone or full.
    """

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of some keys, in one round trip."""
        ...

    def members(self, keys: Sequence[bytes]) -> list[set[bytes]]:
        """The members of some sets, in one round trip."""
        ...

    def write(self, changes: Changes) -> None:
        """All of it or nothing; members are removed after they were added."""
        ...

    def page(
        self, prefix: bytes, cursor: bytes, most: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """About `most` values whose keys begin so, and the cursor of the next page; it is empty at both ends."""
        ...

    def clear(self, prefix: bytes) -> None:
        """Removes every value and every set whose key begins so."""
        ...

    def close(self) -> None:
        """Gives back what it holds."""
        ...
