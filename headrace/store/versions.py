"""The versions of an event: which of them the store holds, and which rows see.

A row sees the version that was available last. An event at 3 is available from 5 on, and is
corrected at 12:

    moment       3        5                    12
                 |        |                    |
    rows see     nothing  [--- version 1 ------[--- version 2 --->

>>> first = Version(available=5, time=3, alive=True, sequence=7, values=[50.0])
>>> second = Version(available=12, time=3, alive=True, sequence=7, values=[30.0])

As long as time can still change which version counts, the versions are open: each read decides.
An event that is settled is in its tile, and only there.

>>> [(one.visible_from, one.replaced) for one in open_versions([first, second], horizon=6)]
[(5, 12), (12, 9223372036854775807)]
>>> is_settled([first], horizon=4), is_settled([first], horizon=6)
(False, True)

Of the versions that every later row finds replaced, none is held any longer:

>>> current_versions([first, second], horizon=12) == [second]
True
"""

from typing import Any

import msgspec

from headrace.store.codec import OpenVersion
from headrace.windows import NEVER


class Version(msgspec.Struct, frozen=True, array_like=True):
    """One version of one event; times are microseconds.

    - `available`: from when the version was known.
    - `time`: when the event happened.
    - `alive`: false for a version that deletes the event.
    - `sequence`: orders events of one time; the id, or a position where events have no ids.
    - `values`: those of the columns that windows read.
    """

    available: int
    time: int
    alive: bool
    sequence: int | str
    values: list[Any]

    @property
    def visible_from(self) -> int:
        """The first moment at which a row sees it."""
        return max(self.available, self.time + 1)


Versions = list[Version]
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Versions).decode


def current_versions(versions: Versions, horizon: int) -> Versions:
    """Return the versions that some row at the horizon or later sees.

    They are ordered by the time from which they are available; of two that became available
    together, the one that stands later in `versions` comes later.
    """
    ordered = sorted(versions, key=lambda version: version.available)
    known = sum(version.available <= horizon for version in ordered)
    return ordered[max(known - 1, 0) :]


def is_settled(versions: Versions, horizon: int) -> bool:
    """Say whether an event is in the tiles: rows see it, and no other version is to come."""
    return len(versions) == 1 and versions[0].alive and versions[0].visible_from <= horizon


def open_versions(versions: Versions, horizon: int) -> list[OpenVersion]:
    """Return the open versions of an event; none where the event is settled."""
    if is_settled(versions, horizon):
        return []
    replaced = [version.available for version in versions[1:]] + [NEVER]
    return [
        OpenVersion(one.visible_from, until, one.time, one.sequence, one.values)
        for one, until in zip(versions, replaced, strict=True)
        if one.alive and one.visible_from < until
    ]
