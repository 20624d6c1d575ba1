"""The log: every acknowledged record, appended once, never changed.

Records are appended as frames to an open file. A full open file is sealed: it becomes a Parquet
segment, which DuckDB and Polars read directly. Files are named after the position of their first
record:

    position   0               100,000         200,000         end
               [--- sealed ---)[--- sealed ---)[--- open ---)  `append` adds a frame here

    00000000000000000000.parquet, .sum    records 0 to 99,999, and checksums
    00000000000000100000.parquet, .sum    records 100,000 to 199,999
    00000000000000200000.open             the records behind them, in frames

    format.json           the number of the log's format
    gaps.json             positions of records that are gone
    clock.json            how far the clock is trusted (`trusted_clock`)
    writer.lock           held by the process that appends
    sealer.lock           held by the process that seals full files
    filler.lock           held by the process that fills a store with the log

A process that is killed may leave two files of one name: the segment is then whole, and the open
file is removed.
"""

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import polars as pl

from headrace.clock import SYSTEM, Clock
from headrace.errors import WorkError
from headrace.log import repair, segment
from headrace.log.format import check_log_format, write_format
from headrace.log.frames import Frame, Record, RecordBatch, read_frames
from headrace.log.segment import OPEN, SEALED
from headrace.log.trusted_clock import is_trusted
from headrace.tables import exclusive_lock


class Log:
    """A log in a folder. Many processes may read it; those that write take turns.

    Records survive a killed process once `append` has returned. With `sync` it waits for the disk,
    and they also survive a loss of power.

    An open file of `segment` records is sealed. Then segments are removed if all their records
    became known more than `retention` microseconds before the latest record that was sealed. If
    `full` is set, it is called in the place of sealing, so that another process can seal the file
    (`seal_full`) and appending does not stop for it.

    An append waits `patience_s` seconds for its turn, or without end if it is None.

    >>> import tempfile
    >>> log = Log(Path(tempfile.mkdtemp()))
    >>> with log.append_lock():
    ...     log.append([Record("7", 0, 0, "clicks", b'{"price": 2.5}')])
    1
    >>> log.read("clicks")["payload"].to_list()
    ['{"price": 2.5}']
    """

    # Each is a setting of its own, with a default.
    def __init__(  # noqa: PLR0913
        self,
        folder: Path,
        sync: bool = False,
        segment: int = 100_000,
        retention: int | None = None,
        full: Callable[[], None] | None = None,
        patience_s: float | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.folder = folder
        self._sync = sync
        self._segment = segment
        self._retention = retention
        self._full = full
        self._patience_s = patience_s
        self._clock = clock
        self._writer = folder / "writer.lock"

        # The open file as this process knows it: its segment once it is sealed, the position of its
        # first record, its size in bytes and its records.
        self._path: Path | None = None
        self._sealed: Path | None = None
        self._first = 0
        self._size = 0
        self._count = 0

    @contextmanager
    def append_lock(self, patience_s: float | None = None) -> Iterator[None]:
        """Lock the log for appending for the length of a block; wait for the process that has it.

        Raises `BusyError` if that takes longer than `patience_s`, or than the log's own patience.
        """
        with exclusive_lock(self._writer, self._patience_s if patience_s is None else patience_s):
            self._recover()
            yield

    def backfill_lock(self) -> AbstractContextManager[None]:
        """Lock the log for filling a store with it; others may append meanwhile."""
        return exclusive_lock(self.folder / "filler.lock")

    def append(self, records: Sequence[Record | RecordBatch] | Frame) -> int:
        """Append records inside `append_lock`, all or none; return the position behind them.

        Raises `WorkError` if the disk refuses: then nothing is acknowledged.
        """
        assert self._path is not None, "append outside of append_lock"
        frame = records if isinstance(records, Frame) else Frame(records)
        pieces = frame.encode()
        size = sum(map(len, pieces))
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                # One call for both pieces: the body is not copied behind its head.
                if os.writev(handle, pieces) < size:
                    raise OSError(28, "No space left on device")
                if self._sync:
                    os.fsync(handle)
            except OSError:
                os.ftruncate(handle, self._size)
                raise
            finally:
                os.close(handle)
        except OSError as error:
            raise WorkError(
                str(self._path), f"cannot be written ({error.strerror})", "a disk with free space"
            ) from error

        self._size += size
        self._count += frame.count
        end = self.end
        if self._count >= self._segment and self._full is not None:
            self._begin_file(end)
            self._full()
        elif self._count >= self._segment:
            with suppress(WorkError):  # the records are safe; the next append tries again
                self.seal()
        return end

    @property
    def end(self) -> int:
        """The position behind the last record that this process knows.

        It knows the records that it appended, and those that it found when it entered
        `append_lock`.
        """
        return self._first + self._count

    def seal(self) -> None:
        """Make a Parquet segment of the open file, inside `append_lock`."""
        assert self._path is not None, "seal outside of append_lock"
        if self._count:
            full = self._path
            sealed = segment.write(full)
            self._begin_file(self.end)
            full.unlink()
            self._apply_retention(sealed)

    def seal_full(self) -> int:
        """Make Parquet segments of full open files while others append; return how many.

        Raises `WorkError` if the disk refuses.
        """
        with exclusive_lock(self.folder / "sealer.lock"):
            for path in self.folder.glob(f"*{OPEN}"):
                if path.with_suffix(SEALED).exists():  # its sealer was killed before it removed it
                    path.unlink()

            # The last file is the one to which others append.
            full = [path for path in self.list_files(0)[:-1] if path.suffix == OPEN]
            for path in full:
                sealed = segment.write(path)
                path.unlink()
                self._apply_retention(sealed)
        return len(full)

    def _apply_retention(self, sealed: Path) -> None:
        """Remove segments that are older than the retention, now that `sealed` was sealed."""
        if self._retention is not None:
            now = self._clock.now_us()
            if not is_trusted(self.folder, self._clock):
                why = (
                    "the clock has jumped: no old record is removed until it runs steadily"
                    " for a day"
                )
                warnings.warn(f"{self.folder}: {why}", RuntimeWarning, stacklevel=2)
                return
            # A record may claim to become known in the far future: it must not remove all others.
            latest = min(segment.latest_available(sealed), now)
            self._drop_before(latest - self._retention)

    def read(
        self, kind: str | None = None, since: int = 0, until: int | None = None
    ) -> pl.DataFrame:
        """Read the records of a kind, or of all, in their order.

        Their positions are from `since` to `until`, which is left out. The columns are
        `segment.COLUMNS`. Raises `WorkError` if a file is damaged, or records are gone.
        """
        while True:
            try:
                files = self.list_files(since)
                parts = [segment.read(path) for path in files]
            except FileNotFoundError:
                continue  # sealed or dropped meanwhile

            self._check_gaps(files, parts)
            records = pl.concat([pl.DataFrame(schema=segment.COLUMNS), *parts])
            records = records.filter(pl.col("position") >= since)
            if until is not None:
                records = records.filter(pl.col("position") < until)
            return records if kind is None else records.filter(kind=kind)

    def _check_gaps(self, files: list[Path], parts: list[pl.DataFrame]) -> None:
        """Raise `WorkError` if records are gone between two files, and no repair has noted it."""
        for path, part, next_path in zip(files, parts, files[1:], strict=False):
            end = int(path.stem) + part.height
            first = int(next_path.stem)
            if end > first or (end < first and not repair.is_gap_known(self.folder, end, first)):
                raise WorkError(
                    str(self.folder),
                    f"records {end} to {first - 1} are gone",
                    "the whole log",
                    "`headrace log repair` continues without them",
                )

    def repair(self) -> list[str]:
        """Set aside what is damaged, copy what is whole, and return a sentence on each step."""
        with exclusive_lock(self._writer), exclusive_lock(self.folder / "sealer.lock"):
            self._path = None
            return repair.repair_files(self.folder, self.list_files(0))

    def _drop_before(self, moment: int) -> None:
        """Remove segments whose records all became known before a moment (microseconds)."""
        follows_another = False
        for path in self.list_files(0):
            if path.suffix != SEALED or segment.latest_available(path) >= moment:
                follows_another = True
                continue
            # A log may begin anywhere, but a gap behind an older segment has to be noted.
            if follows_another:
                first = int(path.stem)
                repair.add_gaps(self.folder, [[first, first + segment.count_records(path)]])
            segment.remove(path)

    def list_files(self, since: int) -> list[Path]:
        """List the files with records from a position on, in order.

        If there are two files of one name, it is the segment.
        """
        named: dict[float, Path] = {}
        if self.folder.is_dir():
            check_log_format(self.folder)
            for path in sorted(self.folder.iterdir()):
                if path.suffix in (OPEN, SEALED) and not path.name.startswith("."):
                    named[int(path.stem)] = path  # `.parquet` comes after `.open`

        # A file ends where the next one begins.
        firsts = sorted(named)
        return [named[first] for first, end in pairwise([*firsts, math.inf]) if end > since]

    def position(self, kinds: Sequence[str]) -> int:
        """Return the position behind the last record of any of the kinds; 0 without a record."""
        while True:
            try:
                for path in reversed(self.list_files(0)):
                    records = segment.read(path).filter(pl.col("kind").is_in(list(kinds)))
                    if len(records):
                        return int(records["position"][-1]) + 1
                return 0
            except FileNotFoundError:
                continue  # sealed or dropped meanwhile

    def find_position(self, moment: int) -> int:
        """Return the first position of the first file that may have records known from a moment on.

        Records before it all became known earlier (microseconds).
        """
        files = self.list_files(0)
        for path in files:
            if path.suffix != SEALED or segment.latest_available(path) >= moment:
                return int(path.stem)
        return int(files[-1].stem) if files else 0

    def _begin_file(self, first: int) -> None:
        """Begin an open file, whose first record will have the position `first`."""
        self._path = self.folder / f"{first:020d}{OPEN}"
        self._sealed = self._path.with_suffix(SEALED)
        self._first = first
        self._size = 0
        self._count = 0
        # Positions go on from its name, also if all segments before it are dropped.
        self._path.touch()

    def _is_followed(self) -> bool:
        """Say whether another process has begun a file behind the one that this process knows."""
        assert self._path is not None
        try:
            self._count_appended()
        except FileNotFoundError:
            return True  # and the file was sealed
        after = self.folder / f"{self.end:020d}"
        return bool(self._count) and (
            after.with_suffix(OPEN).exists() or after.with_suffix(SEALED).exists()
        )

    def _count_appended(self) -> None:
        """Count the records that others have appended to the open file."""
        assert self._path is not None
        for count, _, end in read_frames(self._path, self._size):
            self._count += count
            self._size = end

    def _recover(self) -> None:
        """Find the end of the log, where another process may have appended meanwhile.

        A frame that another process began and never acknowledged is cut off.
        """
        if self._sealed is not None and os.access(self._sealed, os.F_OK):
            self._path = None  # sealed; the open file may still be there if the sealer was killed
        # The usual case, in every append: nobody has written. A process that begins a file behind
        # this one has appended to this one, or sealed it, before.
        if self._path is not None and self._size == _size_of(self._path):
            return

        if self._path is None or not self._path.exists() or self._is_followed():
            files = self.list_files(0)
            if not files:
                write_format(self.folder)
                self._begin_file(0)
            elif files[-1].suffix == SEALED:
                files[-1].with_suffix(OPEN).unlink(missing_ok=True)
                self._begin_file(int(files[-1].stem) + segment.count_records(files[-1]))
            else:
                self._begin_file(int(files[-1].stem))
            self._count_appended()

        assert self._path is not None
        if self._size < self._path.stat().st_size:
            os.truncate(self._path, self._size)


def _size_of(path: Path) -> int | None:
    """Return the size of a file in bytes; None if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
