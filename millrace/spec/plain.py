"""YAML as plain data, from anybody: without code, without end, within a second."""

from typing import Any

import msgspec

from millrace.errors import SpecError

_MOST_BYTES, _MOST_VALUES = 16 << 20, 1_000_000


def plain_yaml(text: bytes, where: str) -> Any:
    """What YAML says; raises `SpecError` where it is none, or repeats itself beyond all measure.

    >>> plain_yaml(b"a: [1, 2]", "system.yaml")
    {'a': [1, 2]}
    """
    if len(text) > _MOST_BYTES:
        raise SpecError(where, f"{len(text):,} bytes", f"at most {_MOST_BYTES:,}")
    try:
        if b"&" in text and b"*" in text:
            _check_size(text, where)
        return msgspec.yaml.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise SpecError(where, f"is not YAML ({' '.join(str(error).split())[:300]})") from None


def _check_size(text: bytes, where: str) -> None:
    """An alias (`*a`) stands for all that its anchor (`&a`) holds, which may hold aliases: ten lines become 10^10."""
    import yaml

    try:
        root = yaml.compose(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise SpecError(where, f"is not YAML ({' '.join(str(error).split())[:300]})") from None
    sizes: dict[int, int] = {}
    pending = [root] if root is not None else []
    while pending:
        node = pending[-1]
        parts = _parts(node)
        missing = [part for part in parts if id(part) not in sizes]
        if any(part in pending for part in missing):
            raise SpecError(where, "an alias that holds itself", "plain values")
        if missing:
            pending += missing
            continue
        sizes[id(pending.pop())] = 1 + sum(sizes[id(part)] for part in parts)
        if sizes[id(node)] > _MOST_VALUES:
            raise SpecError(where, "aliases that stand for more than a million values", "plain values")


def _parts(node: Any) -> list[Any]:
    if isinstance(node.value, str):
        return []
    return [part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,))]
