"""Reads YAML from untrusted sources as plain data: no code runs, and size and depth are bounded."""

from collections.abc import Iterable
from typing import Any

import msgspec

from headrace.errors import SpecError

_MOST_BYTES = 4 << 20
_MOST_VALUES = 500_000
_MOST_LEVELS = 100


def parse_yaml(text: bytes, where: str) -> Any:
    """Parse YAML; raise `SpecError` where it is not YAML, or larger or deeper than any spec.

    >>> parse_yaml(b"a: [1, 2]", "system.yaml")
    {'a': [1, 2]}
    """
    if len(text) > _MOST_BYTES:
        raise SpecError(where, f"{len(text):,} bytes", f"at most {_MOST_BYTES:,}")
    try:
        _check_size(text, where)
        return msgspec.yaml.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise _yaml_error(where, error) from None


def _check_size(text: bytes, where: str) -> None:
    """Raise `SpecError` for a text that is nested too deep or has too many values.

    It reads the text event by event, in constant memory. A parser that builds values calls itself
    at each level, and some parsers crash on a deep text.

    An alias (`*a`) repeats the value of its anchor (`&a`), which may hold aliases itself: ten lines
    can become 10^10 values.
    """
    import yaml

    try:
        _SizeCounter(where).read(yaml.parse(text, yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise _yaml_error(where, error) from None


class _SizeCounter:
    """Counts the values of a YAML text, the repeated values of aliases included.

    Lists and mappings that are still open are on a stack, each with its anchor and its size so far:

        text              stack after it         sizes of anchors
        a: &x [1,         (x, 2) (None, 2) …
               2]         (None, 5) …            x: 3
        b: [*x, *x]       (None, 13) …           x: 3      each alias counts 3
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._anchor_sizes: dict[str, int] = {}
        self._open: list[tuple[str | None, int]] = [(None, 0)]

    def read(self, events: Iterable[Any]) -> None:
        """Read the events of a parser; raise `SpecError` for values too deep or too many."""
        import yaml

        for event in events:
            if isinstance(event, yaml.CollectionStartEvent):
                self._start_collection(event.anchor)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._add(*self._open.pop())
            elif isinstance(event, yaml.AliasEvent):
                self._add(None, self._find_size(event.anchor))
            elif isinstance(event, yaml.ScalarEvent):
                self._add(event.anchor, 1)

    def _start_collection(self, anchor: str | None) -> None:
        self._open.append((anchor, 1))
        if len(self._open) > _MOST_LEVELS:
            found = f"values nested deeper than {_MOST_LEVELS}"
            raise SpecError(self._where, found, "plain values")

    def _find_size(self, anchor: str | None) -> int:
        """Return the size of the value that an alias repeats."""
        if anchor is None or anchor not in self._anchor_sizes:
            found = f"an alias *{anchor} that has no anchor, or contains itself"
            raise SpecError(self._where, found, "plain values")
        return self._anchor_sizes[anchor]

    def _add(self, anchor: str | None, size: int) -> None:
        """Add the size of a complete value to the list or mapping around it."""
        if anchor is not None:
            self._anchor_sizes[anchor] = size
        outer_anchor, size_before = self._open[-1]
        total = size_before + size
        self._open[-1] = (outer_anchor, total)
        if total > _MOST_VALUES:
            found = f"more than {_MOST_VALUES:,} values, aliases counted"
            raise SpecError(self._where, found, "plain values")


def _yaml_error(where: str, error: Exception) -> SpecError:
    """Put a parser's message into a `SpecError` of one line."""
    return SpecError(where, f"is not YAML ({' '.join(str(error).split())[:300]})")
