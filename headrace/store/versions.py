"""Versions of events: what was said of an event, from when that was known, and what of it stands at a moment."""

from typing import Any

import msgspec

from headrace.store.codec import OpenVersion
from headrace.windows import NEVER


class Version(msgspec.Struct, frozen=True, array_like=True):
    """One version of one event, as it is kept: from when it was `available`, the `time` of the
    event, whether it is `alive` or deleted, its `sequence` among events of one time (its id, or a
    position where it has none), and the values that windows read.
    """

    available: int
    time: int
    alive: bool
    sequence: int | str
    values: list[Any]

    @property
    def visible_from(self) -> int:
        """From when rows see it."""
        return max(self.available, self.time + 1)


Versions = list[Version]
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Versions).decode


def current_versions(versions: Versions, horizon: int) -> Versions:
    """The versions that some row at the horizon or later sees, in the order in which they become available."""
    ordered = sorted(versions, key=lambda one: one.available)
    known = sum(one.available <= horizon for one in ordered)
    return ordered[max(known - 1, 0) :]


def is_settled(versions: Versions, horizon: int) -> bool:
    """Whether an event is in the tiles: it is known, and no other version is to come."""
    return len(versions) == 1 and versions[0].alive and versions[0].visible_from <= horizon


def open_versions(versions: Versions, horizon: int) -> list[OpenVersion]:
    """The open versions of an event that is not in the tiles."""
    if is_settled(versions, horizon):
        return []
    replaced = [one.available for one in versions[1:]] + [NEVER]
    return [
        OpenVersion(one.visible_from, until, one.time, one.sequence, one.values)
        for one, until in zip(versions, replaced, strict=True)
        if one.alive and one.visible_from < until
    ]
