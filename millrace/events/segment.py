"""The records of the log as a table, and the segments: full files of the log as Parquet."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from polars.io.plugins import register_io_source

from millrace.errors import WorkError
from millrace.events.frames import Packed, Record, frames_of, moment_of, records_of
from millrace.tables import atomic_file

OPEN, SEALED = ".open", ".parquet"
COLUMNS = {
    "position": pl.Int64(),
    "id": pl.String(),
    "time": pl.Datetime("us"),
    "available": pl.Datetime("us"),
    "kind": pl.String(),
    "payload": pl.String(),
}
"""Of a segment, and of what `read` gives: times in UTC, the payload as JSON."""
_PLAIN = {**COLUMNS, "time": pl.Int64(), "available": pl.Int64(), "payload": pl.Binary()}
_AT_ONCE = 4096
"""So many records are taken apart at once, and are a row group of the segment: the memory that sealing takes does not
grow with the file, and what a process asks for anew holds up whoever waits for the processor."""


def read(path: Path) -> pl.DataFrame:
    """The records of a file as `COLUMNS`; those of an open one stand at the positions from its first on.

    Raises `WorkError` for one that is damaged, `FileNotFoundError` for one that is gone.
    """
    if path.suffix == SEALED:
        return pl.read_parquet(path)
    return pl.concat([pl.DataFrame(schema=COLUMNS), *_batches(path)])


def write(path: Path) -> Path:
    """Makes the segment of an open file, which stays; returns where it is.

    Raises `WorkError` where the disk refuses, and for a file that is damaged.
    """
    segment = path.with_suffix(SEALED)
    with atomic_file(segment) as beside:
        for left in path.parent.glob(f".{segment.name}-*"):
            if left.name != beside.name:  # by one that was killed
                left.unlink()
        try:
            records = register_io_source(lambda *_: _batches(path), schema=COLUMNS)
            # level 1 of zstd: of records it makes as little, in a quarter less time than the level of Polars' choice
            records.sink_parquet(beside, compression_level=1, row_group_size=_AT_ONCE)
        except pl.exceptions.ComputeError as error:
            raise WorkError(str(segment), f"cannot be written ({error})", "a disk with room") from error
    return segment


def latest(segment: Path) -> int:
    """When the last of its records became known (microseconds since 1970 UTC)."""
    return int(pl.scan_parquet(segment).select(pl.col("available").max().to_physical()).collect().item())


def length(segment: Path) -> int:
    """How many records it has."""
    return int(pl.scan_parquet(segment).select(pl.len()).collect().item())


def _batches(path: Path) -> Iterator[pl.DataFrame]:
    """The records of an open file, some at a time."""
    first, some = int(path.stem), _nothing()
    for _, body, _ in frames_of(path):
        try:
            records = records_of(body)
        except msgspec.DecodeError as error:
            raise WorkError(str(path), f"records of another form ({error})", "a log of this version") from None
        for record in records:
            for values, more in zip(some, _columns(record), strict=True):
                values.extend(more)
        if len(some[0]) >= _AT_ONCE:
            yield _table(first, some)
            first, some = first + len(some[0]), _nothing()
    if some[0]:
        yield _table(first, some)


def _nothing() -> list[list[Any]]:
    return [[] for _ in range(len(COLUMNS) - 1)]


def _columns(record: Record | Packed) -> Sequence[Sequence[Any]]:
    """The columns behind the position."""
    if isinstance(record, Record):
        return [record.id], [record.time], [record.available], [record.kind], [record.payload]
    ids, payloads = record.apart()
    moments = list(map(moment_of, ids))
    return ids, moments, moments, [record.kind] * len(ids), payloads


def _table(first: int, columns: list[list[Any]]) -> pl.DataFrame:
    positions = range(first, first + len(columns[0]))
    return pl.DataFrame(dict(zip(COLUMNS, (positions, *columns), strict=True)), schema=_PLAIN).cast(COLUMNS)  # type: ignore[arg-type]
