"""Rows and the events before them, dealt out by their keys: what happens to one key concerns no
other, so that each part is worked on by itself, small enough for the caches, and by as many threads
as there are cores.
"""

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace.arrays import Integers
from headrace.windows.history import History
from headrace.windows.row_ranges import RowTimes

PARTITION_EVENTS = 1 << 17
"""How many events a part holds, but for a key that has more."""


class Partition(Struct, frozen=True):
    """The rows of some keys, their events (places in the history, in its order) and the code of the key of each."""

    rows: RowTimes
    events: Integers
    codes: Integers


class Partitions(Struct, frozen=True):
    """All rows, part after part; `places (N,)` says where each row, as it was given, stands among them."""

    parts: list[Partition]
    places: Integers


def partition_by_key(keys: pl.DataFrame, times: Integers, found: History) -> Partitions:
    """Deals out rows, of which `keys` are the columns that name a key, and the events of their
    keys.

    A row that misses a column of its key has none, and a deleted event is nobody's.
    """
    named = _numbered(keys)
    known = named.drop_nulls().unique().with_row_index("code")
    codes = _codes(named, known)
    codes[codes < 0] = len(known)  # behind all keys, where no event is
    order = np.lexsort((times, codes))
    places = np.empty(len(times), np.int64)
    places[order] = np.arange(len(times))
    starts = np.searchsorted(codes[order], np.arange(len(known) + 1))

    same_type = [cs.by_name(name).cast(dtype, strict=False) for name, dtype in keys.schema.items()]
    codes = _codes(_numbered(found.frame.select(same_type)), known)
    events = np.flatnonzero((codes >= 0) & found.alive)
    return Partitions(_dealt(times[order], starts, events, codes[events]), places)


def _dealt(times: Integers, starts: Integers, events: Integers, codes: Integers) -> list[Partition]:
    if len(events) <= PARTITION_EVENTS:
        return [Partition(RowTimes(times, starts), events, codes)]
    up_to = np.cumsum(np.bincount(codes, minlength=len(starts) - 1))
    part = np.unique((up_to - 1).clip(0) // PARTITION_EVENTS, return_inverse=True)[1]  # of each key
    count = int(part[-1]) + 1
    order = np.argsort(
        part[codes].astype(np.uint16), kind="stable"
    )  # by counting, for numbers this short
    events, codes = events[order], codes[order]
    key_at = np.searchsorted(part, np.arange(count + 1))
    row_at = np.append(starts[key_at[:-1]], len(times))
    event_at = np.searchsorted(part[codes], np.arange(count + 1))
    made = []
    for at in range(count):
        key, row, some = key_at[at], row_at[at], slice(event_at[at], event_at[at + 1])
        rows = RowTimes(times[row : row_at[at + 1]], starts[key : key_at[at + 1] + 1] - row)
        made.append(Partition(rows, events[some], codes[some] - key))
    return made


def _numbered(keys: pl.DataFrame) -> pl.DataFrame:
    """Keys are told apart by their place, whatever their columns are called."""
    return keys.rename({name: f"key_{at}" for at, name in enumerate(keys.columns)})


def _codes(keys: pl.DataFrame, known: pl.DataFrame) -> Integers:
    """The number of each key; -1 for one that is not known."""
    found = keys.join(known, on=keys.columns, how="left", maintain_order="left")["code"]
    return found.cast(pl.Int64).fill_null(-1).to_numpy().copy()
