"""Follows a log: reads what was appended since the last time, a file or a part of one at a time.

    cursor   position, and where the frame behind it begins
      │ follow
      v
    (table, cursor) (table, cursor) …      a sealed file at once, an open one by frames

A consumer keeps the cursor with what it has made of the records before it. A file that was sealed
meanwhile is read on from its segment.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import Struct

from headrace.log import segment
from headrace.log.frames import read_frames
from headrace.log.log import Log
from headrace.log.segment import COLUMNS, JUDGED_RECORD, SEALED

_CHUNK_RECORDS = 20_000


class Cursor(Struct, frozen=True):
    """How far a log was read: the `position` of the next record.

    It is at the byte `offset` of the file whose first record has the position `file`, as long as
    that one is open.
    """

    position: int = 0
    file: int = 0
    offset: int = 0


def follow(log: Log, cursor: Cursor, judged: bool) -> Iterator[tuple[pl.DataFrame, Cursor]]:
    """Read the records from a cursor on; yield tables, each with the cursor behind it.

    Parameters: `judged`, whether tables have what is judged of predictions (`JUDGED_RECORD`), or
    all columns of a record (`COLUMNS`). Raises `WorkError` where a file is damaged.
    """
    while True:
        files = log.list_files(cursor.position)
        if not files:
            return
        try:
            for path in files:
                for table, after in _read(path, cursor, judged):
                    cursor = after
                    yield table, after
            return
        except FileNotFoundError:
            continue  # sealed or dropped meanwhile


def _read(path: Path, cursor: Cursor, judged: bool) -> Iterator[tuple[pl.DataFrame, Cursor]]:
    """Read the records of a file from a cursor on."""
    first = int(path.stem)
    if path.suffix == SEALED:
        table = segment.read_judged(path) if judged else segment.read(path)
        end = first + table.height
        rest = table.slice(max(0, cursor.position - first))
        if rest.height:
            yield rest, Cursor(end, end, 0)
        return

    at = cursor if cursor.file == first else Cursor(first, first, 0)
    columns: dict[str, list[Any]] = {name: [] for name in _names(judged)}
    position = at.position
    offset = at.offset
    for count, body, end in read_frames(path, at.offset):
        records = segment.decode(path, body)
        values = segment.take_judged(records) if judged else segment.take_apart(records)
        for column, more in zip(columns.values(), values, strict=True):
            column.extend(more)
        position += count
        offset = end
        if position - at.position >= _CHUNK_RECORDS:
            at = Cursor(position, first, offset)
            yield from _cut(columns, cursor.position, at, judged)
            columns = {name: [] for name in columns}
    if position > at.position:
        yield from _cut(columns, cursor.position, Cursor(position, first, offset), judged)


def _names(judged: bool) -> list[str]:
    return [name for name in (JUDGED_RECORD if judged else COLUMNS) if name != "position"]


def _cut(
    columns: dict[str, list[Any]], since: int, after: Cursor, judged: bool
) -> Iterator[tuple[pl.DataFrame, Cursor]]:
    """Yield the table of columns whose last record is before a cursor, from a position on."""
    first = after.position - len(columns["id"])
    known = (one for one in columns.get("prediction", ()) if one is not None)
    labels = isinstance(next(known, None), str)
    table = segment.build_table(first, columns, judged, labels)
    rest = table.slice(max(0, since - first))
    if rest.height:
        yield rest, after
