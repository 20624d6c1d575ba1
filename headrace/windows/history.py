"""Events as they became known: every version of every event, and when rows see it.

Order 7 of 10:00 costs 50. At 12:00 it is corrected to 30, at 15:00 it is deleted. A row at some
time sees the one version that covers this time:

    row  amount   available       10:00        12:00        15:00
     0     50       10:00           (------------)
     1     30       12:00                        [------------)
     2   deleted    15:00                                     [-- not alive: no row counts it
                                    ^            ^
                       `visible_from` of 0      `replaced` of 0, and `visible_from` of 1

A row at exactly 10:00 does not see version 0: a window ends before the time of its row.
"""

from functools import cached_property

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Integers, Mask
from headrace.errors import InputError, nearest
from headrace.spec import EventTable, parse_duration_us

NEVER = np.iinfo(np.int64).max
"""A time that no row has: that of a version which nothing replaces."""


class History(Struct, frozen=True, dict=True):
    """The `M` versions of events in a table, in the order of its rows.

    All times are in microseconds since 1970 UTC. `time (M,)` is when an event happened,
    `available (M,)` when the version became known. Rows see a version from `visible_from (M,)` on,
    and until `replaced (M,)`, which is left out. `sequences (M,)` orders events of one time: by
    their ids, or by their rows in the table. `alive (M,)` is false for a version that deletes its
    event.
    """

    frame: pl.DataFrame
    time: Integers
    available: Integers
    visible_from: Integers
    replaced: Integers
    sequences: Integers
    alive: Mask

    def select(self, events: Integers, columns: list[str]) -> "History":
        """Return a history of the versions `events (C,)`, in that order, with these columns."""
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
        """The numbers of the versions as their events happened `(M,)`."""
        keys = pl.DataFrame({"time": self.time, "sequence": self.sequences})
        keys = keys.with_row_index("event")
        is_in_sequence = bool((self.sequences[1:] > self.sequences[:-1]).all())
        # The sort keeps the order of equal rows, so that it need not look at sequences in order.
        by = ["time"] if is_in_sequence else ["time", "sequence"]
        return keys.sort(by, maintain_order=True)["event"].cast(pl.Int64).to_numpy()

    @cached_property
    def ranks(self) -> Integers:
        """The rank of each version in `order` `(M,)`."""
        ranks = np.empty(len(self.order), np.int64)
        ranks[self.order] = np.arange(len(ranks))
        return ranks


def build_history(frame: pl.DataFrame, table: EventTable, where: str) -> History:
    """Work out for every row of a table of events when other rows see it.

    An event is visible after its own time, but not before it was available. Of rows with one id
    the one that was available last replaces the others; of rows that became available together, it
    is the last in the table. Raises `InputError`, with the place `where` in the spec, if a column
    is absent, has holes or has a wrong type.

    >>> orders = pl.DataFrame(
    ...     {
    ...         "order": [7, 7, 7],
    ...         "at": [10, 10, 10],
    ...         "known": [10, 12, 15],
    ...         "gone": [False, False, True],
    ...     }
    ... ).cast({"at": pl.Datetime("us"), "known": pl.Datetime("us")})
    >>> table = EventTable(source="", time="at", id="order", available="known", deleted="gone")
    >>> history = build_history(orders, table, "data.events.orders")
    >>> history.visible_from.tolist()
    [11, 12, 15]
    >>> history.replaced.tolist() == [12, 15, NEVER]
    True
    >>> history.alive.tolist()
    [True, True, False]
    """
    available = read_available_times(frame, table, where)
    time = convert_times(frame[table.time], f"{where}.time")
    sequences = np.arange(len(time))
    replaced = np.full(len(time), NEVER)
    if table.id is not None:
        ids = frame[table.id]
        sequences = _rank_ids(ids, f"{where}.id")
        if ids.n_unique() < len(ids):
            replaced = _find_replaced(sequences, available)

    alive = np.ones(len(time), bool)
    if table.deleted is not None:
        alive = ~_read_deleted(frame[table.deleted], f"{where}.deleted")
    visible_from = np.maximum(available, time + 1)
    return History(frame, time, available, visible_from, replaced, sequences, alive)


def _rank_ids(ids: pl.Series, where: str) -> Integers:
    """Compute the ranks of ids, from 1 on `(M,)`; raise `InputError` if one is missing."""
    if ids.null_count():
        row = int(ids.is_null().arg_max() or 0) + 1
        raise InputError(where, f"row {row} has no {ids.name!r}", "an id in every row")
    return ids.rank("dense").cast(pl.Int64).to_numpy()


def _find_replaced(ids: Integers, available: Integers) -> Integers:
    """Find when each version is replaced by the next one with its id `(M,)`."""
    replaced = np.full(len(ids), NEVER)
    order = np.lexsort((available, ids))
    version = order[:-1]
    next_version = order[1:]
    has_next = ids[next_version] == ids[version]
    replaced[version[has_next]] = available[next_version[has_next]]
    return replaced


def _read_deleted(column: pl.Series, where: str) -> Mask:
    """Read which versions delete their event `(M,)`; a missing value deletes nothing."""
    if column.dtype != pl.Boolean:
        raise InputError(where, f"{column.name!r} holds {column.dtype}", "true or false")
    return column.fill_null(False).to_numpy()


def read_available_times(frame: pl.DataFrame, table: EventTable, where: str) -> Integers:
    """Read when each row became known, in microseconds `(M,)`.

    That is said by the `available` column, or it is a `delay` after the row's time. Raises
    `InputError` if the spec names a column that the table does not have, or both ways at once.
    """
    for field in ("time", "id", "available", "deleted"):
        column = getattr(table, field)
        if column is not None and column not in frame.columns:
            raise InputError(
                f"{where}.{field}",
                f"no column {column!r}",
                "one of: " + ", ".join(frame.columns),
                nearest(column, frame.columns),
            )
    if table.available is not None and table.delay is not None:
        raise InputError(f"{where}.delay", f"{table.delay} beside available", "only one of them")

    if table.available is not None:
        return convert_times(frame[table.available], f"{where}.available")
    delay_us = parse_duration_us(table.delay) if table.delay else 0
    return convert_times(frame[table.time], f"{where}.time") + delay_us


def convert_times(column: pl.Series, where: str) -> Integers:
    """Convert times to microseconds since 1970 UTC `(N,)`.

    Raises `InputError`, with the place `where`, if the column holds no times, or has holes.
    """
    if not column.dtype.is_temporal():
        raise InputError(where, f"{column.name!r} is not a column of times", "ISO 8601 times")
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise InputError(where, f"row {row + 1} has no {column.name!r}", "a time in every row")
    return column.cast(pl.Datetime("us")).to_physical().to_numpy()
