"""Versions of events: what was said of an event, from when that was known, and what of it stands at a moment."""

from typing import Any

import msgspec

from headrace.store.codec import Open
from headrace.windows import NEVER


class Version(msgspec.Struct, frozen=True, array_like=True):
    """One version of one event, as it is kept: from when it was `available`, the `time` of the event, whether it is
    `alive` or deleted, its `place` among events of one time (its id, or a position where it has none), and the values
    that windows read."""

    available: int
    time: int
    alive: bool
    place: int | str
    values: list[Any]

    @property
    def known(self) -> int:
        """From when rows see it."""
        return max(self.available, self.time + 1)


Versions = list[Version]
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Versions).decode


def standing(versions: Versions, horizon: int) -> Versions:
    """The versions that some row at the horizon or later sees, in the order in which they become available."""
    ordered = sorted(versions, key=lambda one: one.available)
    known = sum(one.available <= horizon for one in ordered)
    return ordered[max(known - 1, 0) :]


def folds(versions: Versions, horizon: int) -> bool:
    """Whether an event is in the tiles: it is known, and no other version is to come."""
    return len(versions) == 1 and versions[0].alive and versions[0].known <= horizon


def opens_of(versions: Versions, horizon: int) -> list[Open]:
    """The open versions of an event that is not in the tiles."""
    if folds(versions, horizon):
        return []
    replaced = [one.available for one in versions[1:]] + [NEVER]
    return [
        Open(one.known, until, one.time, one.place, one.values)
        for one, until in zip(versions, replaced, strict=True)
        if one.alive and one.known < until
    ]
