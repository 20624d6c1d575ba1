"""Rows and events split by key into parts, on which threads work side by side.

Events of one key concern no row of another. So each part takes all rows and events of some keys,
and is small enough for the caches of a processor:

    rows as they were given      sorted by key and time      parts
      b  10:00                   0  a  09:00                 | rows 0 and 1, and all events of a
      a  11:00                   1  a  11:00                 |
      -  09:00                   2  b  10:00                 | rows 2 and 3, and all events of b
      a  09:00                   3  -  09:00                 |
    places: 2, 1, 3, 0

A row without a key comes after all keys; no event is there.
"""

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace.arrays import Integers
from headrace.windows.history import History
from headrace.windows.row_ranges import RowTimes

PARTITION_EVENTS = 1 << 17
"""How many events a part holds; a part of one key may hold more."""


class Partition(Struct, frozen=True):
    """The rows and events of some keys, which are numbered from 0.

    Parameters: `events (E,)`, the numbers of the events in the history, ascending; `codes (E,)`,
    the numbers of their keys.
    """

    rows: RowTimes
    events: Integers
    codes: Integers


class Partitions(Struct, frozen=True):
    """The parts; `places (N,)` says where each row, as it was given, is among the rows of all."""

    parts: list[Partition]
    places: Integers


def partition_by_key(keys: pl.DataFrame, times: Integers, history: History) -> Partitions:
    """Split rows, and the events of their keys, into parts by key.

    Parameters: `keys (N rows)`, the columns of the rows that make up a key; `times (N,)` of the
    rows, in microseconds. A row that misses a column of its key has no key, and an event that was
    deleted is left out.

    >>> from headrace.spec import EventTable
    >>> from headrace.windows.history import build_history
    >>> clicks = pl.DataFrame({"user": ["b", "c"], "at": [8, 8]}).cast({"at": pl.Datetime("us")})
    >>> history = build_history(clicks, EventTable(source="", time="at"), "data.events.clicks")
    >>> rows = pl.DataFrame({"user": ["b", "b", None, "b"]})
    >>> partitions = partition_by_key(rows, np.array([10, 11, 9, 9]), history)
    >>> partitions.places.tolist()
    [1, 2, 3, 0]
    >>> [part.events.tolist() for part in partitions.parts]
    [[0]]
    """
    row_keys = _number_columns(keys)
    known_keys = row_keys.drop_nulls().unique(maintain_order=True).with_row_index("code")
    row_codes = _look_up_codes(row_keys, known_keys)
    row_codes[row_codes < 0] = len(known_keys)

    order = np.lexsort((times, row_codes))
    places = np.empty(len(times), np.int64)
    places[order] = np.arange(len(times))
    starts = np.searchsorted(row_codes[order], np.arange(len(known_keys) + 1))

    # Keys of events are compared as the type that the rows have.
    casts = [cs.by_name(name).cast(dtype, strict=False) for name, dtype in keys.schema.items()]
    event_codes = _look_up_codes(_number_columns(history.frame.select(casts)), known_keys)
    events = np.flatnonzero((event_codes >= 0) & history.alive)
    return Partitions(_split(times[order], starts, events, event_codes[events]), places)


def _split(times: Integers, starts: Integers, events: Integers, codes: Integers) -> list[Partition]:
    """Split sorted rows, and events, before the keys that would make a part too large.

    Parameters: `times (N,)` of the rows; `starts (K + 1,)`, where the rows of each key start, and
    where those without a key do; `events (E,)` and the `codes (E,)` of their keys.
    """
    if len(events) <= PARTITION_EVENTS:
        return [Partition(RowTimes(times, starts), events, codes)]

    events_up_to = np.cumsum(np.bincount(codes, minlength=len(starts) - 1))
    full_parts = (events_up_to - 1).clip(0) // PARTITION_EVENTS
    _, part_of_key = np.unique(full_parts, return_inverse=True)
    parts = int(part_of_key[-1]) + 1

    # NumPy sorts whole numbers of 16 bits by counting, which is fastest.
    order = np.argsort(part_of_key[codes].astype(np.uint16), kind="stable")
    events = events[order]
    codes = codes[order]

    key_at = np.searchsorted(part_of_key, np.arange(parts + 1))
    row_at = np.append(starts[key_at[:-1]], len(times))
    event_at = np.searchsorted(part_of_key[codes], np.arange(parts + 1))
    partitions = []
    for part in range(parts):
        key = key_at[part]
        row = row_at[part]
        own_rows = RowTimes(times[row : row_at[part + 1]], starts[key : key_at[part + 1] + 1] - row)
        own_events = slice(event_at[part], event_at[part + 1])
        partitions.append(Partition(own_rows, events[own_events], codes[own_events] - key))
    return partitions


def _number_columns(keys: pl.DataFrame) -> pl.DataFrame:
    """Rename the columns of keys to their numbers: no name may clash with those of a join."""
    return keys.rename({name: f"key_{number}" for number, name in enumerate(keys.columns)})


def _look_up_codes(keys: pl.DataFrame, known_keys: pl.DataFrame) -> Integers:
    """Look up the number of each key `(N,)`; -1 for a key that is not known."""
    found = keys.join(known_keys, on=keys.columns, how="left", maintain_order="left")["code"]
    return found.cast(pl.Int64).fill_null(-1).to_numpy().copy()
