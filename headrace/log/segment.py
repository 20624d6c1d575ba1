"""The records of the log as a table, and the segments: full files of the log as Parquet."""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from polars.io.plugins import register_io_source

from headrace.errors import DECODE_ERRORS, WorkError
from headrace.log.frames import Record, RecordBatch, decode_records, read_frames, time_in_id
from headrace.tables import atomic_file

OPEN, SEALED, SUMS = ".open", ".parquet", ".sum"
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
_AT_ONCE, _BYTES_AT_ONCE = 4096, 16 << 20
"""So many records, or bytes of them, are taken apart at once, and are a row group of the segment: the memory that
sealing takes does not grow with the file, and what a process asks for anew holds up whoever waits for the processor."""


class _Sums(msgspec.Struct, frozen=True):
    """What a segment was when it was sealed."""

    records: int
    latest: int
    bytes: int
    crc32: int
    own: int = 0
    """The checksum of these."""

    def sealed(self) -> "_Sums":
        """The same with its own checksum."""
        told = f"{self.records} {self.latest} {self.bytes} {self.crc32}".encode()
        return msgspec.structs.replace(self, own=zlib.crc32(told))


def read(path: Path) -> pl.DataFrame:
    """The records of a file as `COLUMNS`; those of an open one stand at the positions from its
    first on.

    Raises `WorkError` for one that is damaged, `FileNotFoundError` for one that is gone.
    """
    if path.suffix == SEALED:
        content, sums = path.read_bytes(), _sums_of(path)
        if sums is not None and (len(content) != sums.bytes or zlib.crc32(content) != sums.crc32):
            raise _changed(path)
        try:
            return pl.read_parquet(content)
        except pl.exceptions.PolarsError:
            raise _changed(path) from None
    return pl.concat([pl.DataFrame(schema=COLUMNS), *_batches(path)])


def write(path: Path) -> Path:
    """Makes the segment of an open file, which stays; returns where it is.

    Raises `WorkError` where the disk refuses, and for a file that is damaged.
    """
    segment = path.with_suffix(SEALED)
    with atomic_file(segment) as beside:
        for left in path.parent.glob(f".{segment.stem}.*-*"):
            if left.name != beside.name:  # by one that was killed
                left.unlink()
        try:
            records = register_io_source(lambda *_: _batches(path), schema=COLUMNS)
            # level 1 of zstd: of records it makes as little, in a quarter less time than the level
            # of Polars' choice
            records.sink_parquet(beside, compression_level=1, row_group_size=_rows_at_once(path))
            with atomic_file(sums_path(segment)) as sums:
                sums.write_bytes(msgspec.json.encode(_summed(beside)))
        except pl.exceptions.ComputeError as error:
            raise WorkError(
                str(segment), f"cannot be written ({error})", "a disk with room"
            ) from error
    return segment


def latest_available(segment: Path) -> int:
    """When the last of its records became known (microseconds since 1970 UTC)."""
    return (_sums_of(segment) or _summed(segment)).latest


def count_records(segment: Path) -> int:
    """How many records it has."""
    return (_sums_of(segment) or _summed(segment)).records


def remove(segment: Path) -> None:
    """Removes a segment and what is known of it."""
    segment.unlink()
    sums_path(segment).unlink(missing_ok=True)


def sums_path(segment: Path) -> Path:
    """The file that tells what a segment was when it was sealed: Parquet pages have no checksums
    that readers ask for.
    """
    return segment.with_suffix(SUMS)


def _sums_of(segment: Path) -> _Sums | None:
    """None for a segment of an earlier version."""
    path = sums_path(segment)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Sums)
    except FileNotFoundError:
        return None
    except DECODE_ERRORS:
        raise _changed(path) from None
    if found != found.sealed():
        raise _changed(path)
    return found


def _summed(segment: Path) -> _Sums:
    try:
        known = (
            pl.scan_parquet(segment)
            .select(pl.len(), pl.col("available").max().to_physical())
            .collect()
            .row(0)
        )
    except pl.exceptions.PolarsError:
        raise _changed(segment) from None
    crc32 = 0
    with segment.open("rb") as file:
        while piece := file.read(1 << 20):
            crc32 = zlib.crc32(piece, crc32)
    made = _Sums(records=known[0], latest=known[1] or 0, bytes=segment.stat().st_size, crc32=crc32)
    return made.sealed()


def _changed(path: Path) -> WorkError:
    do = "the file is left as it is; `headrace log repair` sets it aside"
    return WorkError(
        str(path), "has been changed since it was sealed", "the log as it was written", do
    )


def _batches(path: Path) -> Iterator[pl.DataFrame]:
    """The records of an open file, some at a time."""
    first, some, size = int(path.stem), _nothing(), 0
    for _, body, _ in read_frames(path):
        try:
            records = decode_records(body)
        except DECODE_ERRORS as error:
            raise WorkError(
                str(path), f"records of another form ({error})", "a log of this version"
            ) from None
        for record in records:
            for values, more in zip(some, _columns(record), strict=True):
                values.extend(more)
        size += len(body)
        if len(some[0]) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield _table(first, some)
            first, some, size = first + len(some[0]), _nothing(), 0
    if some[0]:
        yield _table(first, some)


def _rows_at_once(path: Path) -> int:
    """How many records make a row group: those of the first frame tell how large they are."""
    for count, body, _ in read_frames(path):
        return min(max(_BYTES_AT_ONCE * count // max(len(body), 1), 16), _AT_ONCE)
    return _AT_ONCE


def _nothing() -> list[list[Any]]:
    return [[] for _ in range(len(COLUMNS) - 1)]


def _columns(record: Record | RecordBatch) -> Sequence[Sequence[Any]]:
    """The columns behind the position."""
    if isinstance(record, Record):
        return [record.id], [record.time], [record.available], [record.kind], [record.payload]
    ids, payloads = record.unpack()
    moments = list(map(time_in_id, ids))
    return ids, moments, moments, [record.kind] * len(ids), payloads


def _table(first: int, columns: list[list[Any]]) -> pl.DataFrame:
    positions = range(first, first + len(columns[0]))
    plain = pl.DataFrame(dict(zip(COLUMNS, (positions, *columns), strict=True)), schema=_PLAIN)
    return plain.cast(pl.Schema(COLUMNS))
