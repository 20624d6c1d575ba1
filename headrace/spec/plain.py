"""YAML as plain data, from anybody: without code, without end, within a second."""

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
        raise SpecError(where, f"is not YAML ({' '.join(str(error).split())[:300]})") from None


def _check(text: bytes, where: str) -> None:
    """Reads the text event by event, which takes no more memory the deeper it is nested: a parser
    that builds values goes down with each level, and some crash.

    An alias (`*a`) stands for all that its anchor (`&a`) holds, which may hold aliases: ten lines
    become 10^10 values.
    """
    import yaml

    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = [
        (None, 0)
    ]  # the anchor of each value that has begun, and its size so far
    try:
        for event in yaml.parse(text, yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append((event.anchor, 1))
                if len(open_) > _DEEPEST:
                    raise SpecError(where, f"values nested deeper than {_DEEPEST}", "plain values")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, size = open_.pop()
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in sizes:
                    raise SpecError(
                        where,
                        f"an alias *{event.anchor} of nothing, or that holds itself",
                        "plain values",
                    )
                anchor, size = None, sizes[event.anchor]
            elif isinstance(event, yaml.ScalarEvent):
                anchor, size = event.anchor, 1
            else:
                continue
            if anchor is not None:
                sizes[anchor] = size
            outer, before = open_[-1]
            open_[-1] = (outer, before + size)
            if before + size > _MOST_VALUES:
                raise SpecError(
                    where, f"more than {_MOST_VALUES:,} values, aliases counted", "plain values"
                )
    except yaml.YAMLError as error:
        raise SpecError(where, f"is not YAML ({' '.join(str(error).split())[:300]})") from None
