"""Versions of events: what was said of an event, from when that was known, and what of it stands at a moment."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from millrace.events.blob import Open
from millrace.events.history import NEVER
from millrace.events.layout import Source
from millrace.events.tiles import Integers


class Batch(Struct, frozen=True):
    """Versions of events of one source, in the order in which they were told: `time (N,)`, from when they were
    `available (N,)`, whether the event is `alive (N,)` or deleted, their `places (N,)` (ids, or positions where there
    are none), and the `values` that windows read."""

    time: Integers
    available: Integers
    alive: npt.NDArray[np.bool_]
    places: pl.Series
    values: pl.DataFrame

    def versions(self) -> "Versions":
        """One by one."""
        told = zip(self.available.tolist(), self.time.tolist(), self.alive.tolist(), self.places.to_list(), strict=True)
        rows = self.values.rows()
        return [Version(*one, list(row)) for one, row in zip(told, rows, strict=True)]

    def some(self, kept: npt.NDArray[np.bool_]) -> "Batch":
        """Those under a mask `(N,)`."""
        mask = pl.Series(kept)
        rest = self.places.filter(mask), self.values.filter(mask)
        return Batch(self.time[kept], self.available[kept], self.alive[kept], *rest)


class Version(Struct, frozen=True, array_like=True):
    """One version of one event, as it is kept."""

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


def values_of(rows: list[list[Any]], source: Source) -> pl.DataFrame:
    """The values of events as a table."""
    return pl.DataFrame(rows, schema=source.plain, orient="row")
