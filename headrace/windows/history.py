"""Events as they became known: each version of each event, from when it counted and until when."""

from functools import cached_property

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Integers, Mask
from headrace.errors import InputError, nearest
from headrace.spec import EventTable, duration_us

NEVER = np.iinfo(np.int64).max
"""The time that no row has."""


class History(Struct, frozen=True, dict=True):
    """The versions of a table of events, in the order of its rows.

    `time (M,)` is when the event happened, `available (M,)` when this was told; rows see a version
    at `visible_from` and later, and before `replaced`, all in microseconds. `places (M,)` orders
    events of one time: by their ids, or as they stand in the table; `alive (M,)` is false for a
    version that says that its event is deleted.
    """

    frame: pl.DataFrame
    time: Integers
    available: Integers
    visible_from: Integers
    replaced: Integers
    sequences: Integers
    alive: Mask

    def select(self, events: Integers, columns: list[str]) -> "History":
        """That of some of the versions, in their order, with some of the columns."""
        return History(
            pl.DataFrame({name: self.frame[name].gather(events) for name in columns}),
            self.time[events],
            self.available[events],
            self.visible_from[events],
            self.replaced[events],
            self.sequences[events],
            self.alive[events],
        )

    @cached_property
    def order(self) -> Integers:
        """The numbers of the events as they happened."""
        keys = pl.DataFrame({"time": self.time, "place": self.sequences}).with_row_index("event")
        in_place = bool((self.sequences[1:] > self.sequences[:-1]).all())
        return (
            keys.sort(["time"] if in_place else ["time", "place"], maintain_order=True)["event"]
            .cast(pl.Int64)
            .to_numpy()
        )

    @cached_property
    def ranks(self) -> Integers:
        """Where each event stands in that order."""
        ranks = np.empty(len(self.order), np.int64)
        ranks[self.order] = np.arange(len(ranks))
        return ranks


def build_history(frame: pl.DataFrame, table: EventTable, where: str) -> History:
    """The versions of events.

    An event is seen from the moment after its own time, and not before it was available: by the
    `available` column, or `delay` after its time. Of several rows with one `id` the one that was
    available last counts from then on; of rows that became available together, the later one.
    Raises `InputError` for a column that is absent or has holes.
    """
    available = available_times(frame, table, where)
    time = to_times(frame[table.time], f"{where}.time")
    replaced = np.full(len(time), NEVER)
    places = np.arange(len(time))
    if table.id is not None:
        ids = frame[table.id]
        if ids.null_count():
            row = int(ids.is_null().arg_max() or 0) + 1
            raise InputError(f"{where}.id", f"row {row} has no {table.id!r}", "an id in every row")
        places = ids.rank("dense").cast(pl.Int64).to_numpy()
        if ids.n_unique() < len(ids):
            order = np.lexsort((available, places))
            same = places[order[1:]] == places[order[:-1]]
            replaced[order[:-1][same]] = available[order[1:][same]]
    alive = np.ones(len(time), bool)
    if table.deleted is not None:
        gone = frame[table.deleted]
        if gone.dtype != pl.Boolean:
            raise InputError(
                f"{where}.deleted", f"{table.deleted!r} holds {gone.dtype}", "true or false"
            )
        alive = ~gone.fill_null(False).to_numpy()
    return History(frame, time, available, np.maximum(available, time + 1), replaced, places, alive)


def available_times(frame: pl.DataFrame, table: EventTable, where: str) -> Integers:
    """When each row was told, by the `available` column or a `delay` after its time (microseconds);
    raises `InputError` for a column that the spec names and the table has not.
    """
    for field in ("time", "id", "available", "deleted"):
        column = getattr(table, field)
        if column is not None and column not in frame.columns:
            known = "one of: " + ", ".join(frame.columns)
            raise InputError(
                f"{where}.{field}", f"no column {column!r}", known, nearest(column, frame.columns)
            )
    if table.available is not None and table.delay is not None:
        raise InputError(f"{where}.delay", f"{table.delay} beside available", "one of the two")
    if table.available is not None:
        return to_times(frame[table.available], f"{where}.available")
    return to_times(frame[table.time], f"{where}.time") + (
        duration_us(table.delay) if table.delay else 0
    )


def to_times(column: pl.Series, where: str) -> Integers:
    """Times as microseconds since 1970 UTC `(N,)`; raises `InputError` where there are none, or holes."""
    if not column.dtype.is_temporal():
        raise InputError(where, f"{column.name!r} is no column of times", "ISO 8601 times")
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise InputError(where, f"row {row + 1} has no {column.name!r}", "a time in every row")
    return column.cast(pl.Datetime("us")).to_physical().to_numpy()
