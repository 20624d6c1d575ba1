"""YAML as plain data, from anybody: without code, without end, within a second."""

from collections.abc import Iterable
from typing import Any

import msgspec

from headrace.errors import SpecError

_MOST_BYTES, _MOST_VALUES, _DEEPEST = 4 << 20, 500_000, 100


def parse_yaml(text: bytes, where: str) -> Any:
    """What YAML says; raises `SpecError` where it is none, or is larger or deeper than any spec.

    >>> parse_yaml(b"a: [1, 2]", "system.yaml")
    {'a': [1, 2]}
    """
    if len(text) > _MOST_BYTES:
        raise SpecError(where, f"{len(text):,} bytes", f"at most {_MOST_BYTES:,}")
    try:
        _check(text, where)
        return msgspec.yaml.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise _not_yaml(where, error) from None


def _check(text: bytes, where: str) -> None:
    """Reads the text event by event, which takes no more memory the deeper it is nested: a parser
    that builds values goes down with each level, and some crash.

    An alias (`*a`) stands for all that its anchor (`&a`) holds, which may hold aliases: ten lines
    become 10^10 values.
    """
    import yaml

    try:
        _Sizes(where).add_up(yaml.parse(text, yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise _not_yaml(where, error) from None


class _Sizes:
    """Adds up how many values a YAML text stands for, aliases counted.

    The values that have begun are a stack, each with its anchor and its size so far:

        a: &x [1, 2]      (x, 3) is done, `a` holds 3 more
        b: [*x, *x]       two aliases of 3 values each: `b` holds 7 more
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._anchored: dict[str, int] = {}
        self._begun: list[tuple[str | None, int]] = [(None, 0)]

    def add_up(self, events: Iterable[Any]) -> None:
        """Reads the events of a parser; raises `SpecError` for values too deep or too many."""
        import yaml

        for event in events:
            if isinstance(event, yaml.CollectionStartEvent):
                self._begin(event.anchor)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._add(*self._begun.pop())
            elif isinstance(event, yaml.AliasEvent):
                self._add(None, self._size_of_alias(event.anchor))
            elif isinstance(event, yaml.ScalarEvent):
                self._add(event.anchor, 1)

    def _begin(self, anchor: str | None) -> None:
        self._begun.append((anchor, 1))
        if len(self._begun) > _DEEPEST:
            raise SpecError(self._where, f"values nested deeper than {_DEEPEST}", "plain values")

    def _size_of_alias(self, anchor: str | None) -> int:
        if anchor is None or anchor not in self._anchored:
            found = f"an alias *{anchor} of nothing, or that holds itself"
            raise SpecError(self._where, found, "plain values")
        return self._anchored[anchor]

    def _add(self, anchor: str | None, size: int) -> None:
        """Adds a value that is complete to the one that holds it."""
        if anchor is not None:
            self._anchored[anchor] = size
        outer, before = self._begun[-1]
        self._begun[-1] = outer, before + size
        if before + size > _MOST_VALUES:
            found = f"more than {_MOST_VALUES:,} values, aliases counted"
            raise SpecError(self._where, found, "plain values")


def _not_yaml(where: str, error: Exception) -> SpecError:
    return SpecError(where, f"is not YAML ({' '.join(str(error).split())[:300]})")
