"""The interface of a backend: values and sets of bytes by key.

What is written in one step is visible as a whole or not at all; what is asked for in one call is
read in one round trip. A backend is one file in `backends/`. One suite of tests,
`tests/contracts/test_stores.py`, holds every backend to this file.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct, field


class Changes(Struct):
    """The changes that one step writes.

    - `puts`: values by key.
    - `gone`: keys that are deleted, with their values.
    - `added`, `removed`: members of sets, by the key of the set. A set that has lost its last
      member does not exist any more.
    """

    puts: dict[bytes, bytes] = field(default_factory=dict)
    gone: set[bytes] = field(default_factory=set)
    added: dict[bytes, set[bytes]] = field(default_factory=dict)
    removed: dict[bytes, set[bytes]] = field(default_factory=dict)

    def merge(self, more: "Changes") -> None:
        """Add the changes of other keys."""
        self.puts |= more.puts
        self.gone |= more.gone
        self.added |= more.added
        self.removed |= more.removed


class Store(Protocol):
    """Values and sets of bytes, by keys of up to 480 bytes.

    Many processes may read while one writes: they see each write as a whole or not at all. Every
    method raises `WorkError` where the store is gone or full.
    """

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Read the values of some keys in one round trip; none for a key without a value."""
        ...

    def members(self, keys: Sequence[bytes]) -> list[set[bytes]]:
        """Read the members of some sets in one round trip; a set that does not exist is empty."""
        ...

    def write(self, changes: Changes) -> None:
        """Write all changes or none; members are added first and then removed."""
        ...

    def page(
        self, prefix: bytes, cursor: bytes, most: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Read about `most` values whose keys begin with a prefix, and the cursor of the next page.

        The cursor of the first page is empty, and so is the one that the last page returns.
        """
        ...

    def clear(self, prefix: bytes) -> None:
        """Remove every value and every set whose key begins with a prefix."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...
