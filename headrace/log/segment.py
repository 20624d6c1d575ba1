"""Segments: full files of the log as Parquet, with their checksums; and any file of it as a table.

0….open      frames ---- decoded, some thousand records at a time -.
                                                                   v
0….parquet   row group | row group | row group …       of up to 4,096 records or 16 MiB
0….sum       records, latest time, bytes and CRC-32 of the segment, and a CRC-32 of these four

A file of batches, which are predictions, has the columns `JUDGED` beside those of every record: to
read a unit out of a payload takes ten times as long. Segments of an earlier version lack them.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import msgspec
import polars as pl
from msgspec import structs
from polars.io.plugins import register_io_source

from headrace.errors import DECODE_ERRORS, WorkError
from headrace.log.frames import (
    Record,
    RecordBatch,
    decode_records,
    read_frames,
    time_in_id,
)
from headrace.tables import atomic_file

Schema = dict[str, Any]
"""The types of columns, by their names."""
OPEN = ".open"
SEALED = ".parquet"
SUMS = ".sum"
COLUMNS = {
    "position": pl.Int64(),
    "id": pl.String(),
    "time": pl.Datetime("us"),
    "available": pl.Datetime("us"),
    "kind": pl.String(),
    "payload": pl.String(),
}
"""The columns of a segment, and of the records that are read: times in UTC, the payload as JSON."""
JUDGED: dict[str, Any] = {
    "version": pl.Int64(),
    "arm": pl.String(),
    "phase": pl.Int64(),
    "propensity": pl.Float64(),
    "unit": pl.String(),
    "prediction": pl.Float64(),
    "row_id": pl.String(),
    "context": pl.List(pl.Float64()),
}
"""What is judged of a prediction (see `frames.Judged`); a file of labels has text predictions."""
JUDGED_RECORD = ("position", "id", "kind", *JUDGED)
_OF_RECORD = 2
"""The columns of `take_judged` before those that are judged."""
_DECODED_COLUMNS = {**COLUMNS, "time": pl.Int64(), "available": pl.Int64(), "payload": pl.Binary()}

_CHUNK_RECORDS = 4096
_CHUNK_BYTES = 16 << 20
"""So many records, or bytes, are decoded at a time, and become a row group. So the memory that
sealing takes does not grow with the file. A process that asks for much memory anew also delays
others that wait for the processor."""


class _Sums(msgspec.Struct, frozen=True):
    """The number of a segment's records and its checksum, as they were when it was sealed.

    `latest` is when the last record became known, in microseconds; `own` is the checksum of the
    other fields.
    """

    records: int
    latest: int
    bytes: int
    crc32: int
    own: int = 0

    def with_checksum(self) -> "_Sums":
        """Return the same sums with their own checksum."""
        fields = f"{self.records} {self.latest} {self.bytes} {self.crc32}".encode()
        return msgspec.structs.replace(self, own=zlib.crc32(fields))


def read(path: Path) -> pl.DataFrame:
    """Read the records of a segment or of an open file, with the columns `COLUMNS`.

    Raises `WorkError` if the file is damaged, and `FileNotFoundError` if it is gone.
    """
    if path.suffix != SEALED:
        parts = [part.select(*COLUMNS) for part in _read_chunks(path)]
        return pl.concat([pl.DataFrame(schema=COLUMNS), *parts])
    return _read_parquet(path, list(COLUMNS))


def read_judged(segment: Path) -> pl.DataFrame:
    """Read the position, id and kind of the records of a segment, and what is judged of them.

    Raises as `read` does.
    """
    table = _read_parquet(segment, None)
    lacking = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in JUDGED.items()
        if name not in table.columns
    ]
    return table.with_columns(lacking).select(*JUDGED_RECORD)


def _read_parquet(path: Path, columns: list[str] | None) -> pl.DataFrame:
    """Read columns of a segment whose bytes are as they were; None for all but the payload."""
    content = path.read_bytes()
    sums = _read_sums(path)
    if sums is not None and (len(content) != sums.bytes or zlib.crc32(content) != sums.crc32):
        raise _change_error(path)
    try:
        if columns is None:
            known = pl.read_parquet_schema(content)
            columns = [name for name in known if name in JUDGED_RECORD]
        return pl.read_parquet(content, columns=columns)
    except pl.exceptions.PolarsError:
        raise _change_error(path) from None


def write(path: Path) -> Path:
    """Write the segment of an open file, which stays; return the segment's path.

    Raises `WorkError` if the disk refuses, or the file is damaged.
    """
    segment = path.with_suffix(SEALED)
    with atomic_file(segment) as draft:
        for left_over in path.parent.glob(f".{segment.stem}.*-*"):
            if left_over.name != draft.name:  # its sealer was killed
                left_over.unlink()
        try:
            schema = _schema_of(path)
            records = register_io_source(lambda *_: _read_chunks(path, schema), schema=schema)
            # Level 1 of zstd makes records as small as the level that Polars would choose, and
            # takes a quarter less time.
            records.sink_parquet(draft, compression_level=1, row_group_size=_chunk_size(path))
            # The sums are there before the segment is: no reader meets one without them.
            with atomic_file(sums_path(segment)) as sums:
                sums.write_bytes(msgspec.json.encode(_compute_sums(draft)))
        except pl.exceptions.ComputeError as error:
            raise WorkError(
                str(segment), f"cannot be written ({error})", "a disk with free space"
            ) from error
    return segment


def latest_available(segment: Path) -> int:
    """Return when the last of its records became known, in microseconds since 1970 UTC."""
    return (_read_sums(segment) or _compute_sums(segment)).latest


def count_records(segment: Path) -> int:
    """Count the records of a segment."""
    return (_read_sums(segment) or _compute_sums(segment)).records


def remove(segment: Path) -> None:
    """Remove a segment and its sums."""
    segment.unlink()
    sums_path(segment).unlink(missing_ok=True)


def sums_path(segment: Path) -> Path:
    """Return the path of a segment's sums.

    Readers of Parquet do not check the pages of a file, so a segment has checksums beside it.
    """
    return segment.with_suffix(SUMS)


def _read_sums(segment: Path) -> _Sums | None:
    """Read the sums of a segment; None if an earlier version sealed it, which wrote none."""
    path = sums_path(segment)
    try:
        sums = msgspec.json.decode(path.read_bytes(), type=_Sums)
    except FileNotFoundError:
        return None
    except DECODE_ERRORS:
        raise _change_error(path) from None
    if sums != sums.with_checksum():
        raise _change_error(path)
    return sums


def _compute_sums(segment: Path) -> _Sums:
    """Compute the sums of a segment from its content."""
    latest_available = pl.col("available").max().to_physical()
    try:
        table = pl.scan_parquet(segment).select(pl.len(), latest_available)
        records, latest = table.collect().row(0)
    except pl.exceptions.PolarsError:
        raise _change_error(segment) from None

    crc32 = 0
    with segment.open("rb") as file:
        while piece := file.read(1 << 20):
            crc32 = zlib.crc32(piece, crc32)
    size = segment.stat().st_size
    return _Sums(records=records, latest=latest or 0, bytes=size, crc32=crc32).with_checksum()


def _change_error(path: Path) -> WorkError:
    return WorkError(
        str(path),
        "has been changed since it was sealed",
        "the log as it was written",
        "the file is left as it is; `headrace log repair` sets it aside",
    )


def _read_chunks(path: Path, schema: Schema | None = None) -> Iterator[pl.DataFrame]:
    """Read the records of an open file, some thousand at a time."""
    schema = _schema_of(path) if schema is None else schema
    is_judged = "unit" in schema
    first = int(path.stem)
    columns: list[list[Any]] = [[] for _ in range(len(schema) - 1)]
    size = 0
    for _, body, _ in read_frames(path):
        records = decode(path, body)
        judged = take_judged(records)[_OF_RECORD:] if is_judged else []
        _extend(columns, [*take_apart(records), *judged])
        size += len(body)
        if len(columns[0]) >= _CHUNK_RECORDS or size >= _CHUNK_BYTES:
            yield _build_table(first, columns, schema)
            first += len(columns[0])
            columns = [[] for _ in columns]
            size = 0
    if columns[0]:
        yield _build_table(first, columns, schema)


def decode(path: Path, body: bytes) -> list[Record | RecordBatch]:
    """Decode the records of a frame's body; raises `WorkError` for those of another form."""
    try:
        return decode_records(body)
    except DECODE_ERRORS as error:
        raise WorkError(
            str(path), f"records of another form ({error})", "a log of this version"
        ) from None


def _schema_of(path: Path) -> Schema:
    """Return the columns of an open file: those of its first record tell what the others have."""
    for _, body, _ in read_frames(path):
        record = decode(path, body)[0]
        if not isinstance(record, RecordBatch):
            return dict(COLUMNS)
        first = record.judge().predictions[0]
        label = pl.String() if isinstance(first, str) else pl.Float64()
        return {**COLUMNS, **JUDGED, "prediction": label}
    return dict(COLUMNS)


def _chunk_size(path: Path) -> int:
    """Choose how many records make a row group, from the size of those in the first frame."""
    for count, body, _ in read_frames(path):
        return min(max(_CHUNK_BYTES * count // max(len(body), 1), 16), _CHUNK_RECORDS)
    return _CHUNK_RECORDS


def take_apart(records: Iterable[Record | RecordBatch]) -> list[list[Any]]:
    """Return the values of each column but the position, of records and of those of batches."""
    columns: list[list[Any]] = [[] for _ in range(len(COLUMNS) - 1)]
    for kind, run in groupby(records, type):
        if kind is Record:
            _extend(columns, list(zip(*map(structs.astuple, run), strict=True)))
            continue
        for batch in cast(Iterable[RecordBatch], run):
            ids, payloads = batch.unpack()
            times = list(map(time_in_id, ids))
            _extend(columns, [ids, times, times, [batch.kind] * len(ids), payloads])
    return columns


def take_judged(records: Iterable[Record | RecordBatch]) -> list[list[Any]]:
    """Return id, kind and the values of each of the columns `JUDGED`, of records and batches.

    Nothing is judged of a single record. A version is a number; so is a prediction, unless all of
    them are labels.
    """
    columns: list[list[Any]] = [[] for _ in range(len(JUDGED_RECORD) - 1)]
    for record in records:
        if isinstance(record, Record):
            _extend(columns, [[record.id], [record.kind], *([None] for _ in JUDGED)])
            continue
        judged = record.judge()
        count = len(judged.ids)
        values: list[Sequence[Any]] = [
            judged.ids,
            [record.kind] * count,
            [judged.version] * count,
            [judged.arm] * count,
            [judged.phase] * count,
            judged.propensities,
            judged.units,
            judged.predictions,
            judged.row_ids or [None] * count,
            judged.contexts or [None] * count,
        ]
        _extend(columns, values)
    return columns


def _extend(columns: list[list[Any]], values: Sequence[Sequence[Any]]) -> None:
    """Add values to columns."""
    for column, more in zip(columns, values, strict=True):
        column.extend(more)


def _build_table(first: int, columns: list[list[Any]], schema: Schema) -> pl.DataFrame:
    """Build a table from columns of records, of which the first has the position `first`."""
    positions = range(first, first + len(columns[0]))
    named = dict(zip(schema, (positions, *columns), strict=True))
    decoded = {name: _DECODED_COLUMNS.get(name, dtype) for name, dtype in schema.items()}
    # A label in a file of numbers, or a number in one of labels, is missing: the payload has it.
    table = pl.DataFrame(named, schema=decoded, strict=False)
    return table if decoded == schema else table.cast(pl.Schema(schema))


def build_table(
    first: int, columns: dict[str, list[Any]], judged: bool, labels: bool
) -> pl.DataFrame:
    """Build a table of records, or of what is judged of them; `labels` says what predictions are.

    The first one has the position `first`.
    """
    names = JUDGED_RECORD if judged else tuple(COLUMNS)
    schema = {name: {**COLUMNS, **JUDGED}[name] for name in names}
    if labels:
        schema["prediction"] = pl.String()
    return _build_table(first, list(columns.values()), schema)
