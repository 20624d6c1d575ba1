"""The log: every record that was acknowledged, appended once, never changed.

Records are appended to an open file in frames, each of which is there whole or not at all. An open
file that is full is sealed: it becomes a Parquet segment, which DuckDB and Polars read directly.
Files are named after the position of their first record.
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
    """A log in a folder. Many processes may read; those that write take turns.

    What `append` returned from survives a killed process; with `sync`, which waits for the disk,
    also a loss of power. An open file of `segment` records is sealed; then segments are removed all
    of whose records were known `retention` (microseconds) before the latest of the sealed ones.
    With `full`, which is called in its place, another process may seal it (`seal_full`): who
    appends much does not stop for it then. Who appends waits `patience_s` for his turn, or for as
    long as it takes.

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
        self.folder, self._sync, self._segment, self._retention = folder, sync, segment, retention
        self._full, self._patience_s, self._clock = full, patience_s, clock
        self._writer = folder / "writer.lock"
        self._path: Path | None = (
            None  # the open file that this process knows, up to where, and its records
        )
        self._sealed: Path | None = None  # its segment, once it is sealed
        self._size = self._first = self._count = 0

    @contextmanager
    def append_lock(self, patience_s: float | None = None) -> Iterator[None]:
        """Holds the right to append for the length of the block; waits for the process that has it.

        Raises `BusyError` where that takes longer than `patience_s`, or than the log's own
        patience.
        """
        with exclusive_lock(self._writer, self._patience_s if patience_s is None else patience_s):
            self._recover()
            yield

    def backfill_lock(self) -> AbstractContextManager[None]:
        """Holds the right to fill a store with the log; others may append meanwhile."""
        return exclusive_lock(self.folder / "filler.lock")

    def append(self, records: Sequence[Record | RecordBatch] | Frame) -> int:
        """Appends records, all or none, inside `append_lock`; returns the position behind them.

        Raises `WorkError` where the disk refuses: nothing is acknowledged then.
        """
        assert self._path is not None, "append outside of append_lock"
        frame = records if isinstance(records, Frame) else Frame(records)
        pieces = frame.encode()
        size = sum(map(len, pieces))
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
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
                str(self._path), f"cannot be written ({error.strerror})", "a disk with room"
            ) from error
        self._size += size
        self._count += frame.count
        end = self.end
        if self._count >= self._segment and self._full is not None:
            self._opened(end)
            self._full()
        elif self._count >= self._segment:
            with suppress(WorkError):  # the records are safe; the next call tries again
                self.seal()
        return end

    @property
    def end(self) -> int:
        """The position behind the last record that this process wrote or, entering `append_lock`, found."""
        return self._first + self._count

    def seal(self) -> None:
        """Makes a Parquet segment of the open file, inside `append_lock`."""
        assert self._path is not None, "seal outside of append_lock"
        if self._count:
            full = self._path
            sealed = segment.write(full)
            self._opened(self.end)
            full.unlink()
            self._forget(sealed)

    def seal_full(self) -> int:
        """Makes Parquet segments of the open files that are full, beside whoever appends; returns
        how many there were.

        Raises `WorkError` where the disk refuses.
        """
        with exclusive_lock(self.folder / "sealer.lock"):
            for path in self.folder.glob(f"*{OPEN}"):
                if path.with_suffix(SEALED).exists():  # left behind by one that was killed
                    path.unlink()
            full = [path for path in self._files(0)[:-1] if path.suffix == OPEN]
            for path in full:
                sealed = segment.write(path)
                path.unlink()
                self._forget(sealed)
        return len(full)

    def _forget(self, sealed: Path) -> None:
        """Removes what is older than the retention, now that this one was sealed."""
        if self._retention is not None:
            now = self._clock.now_us()  # a record may be said to become known later
            if not is_trusted(self.folder, self._clock):
                why = "the clock has jumped: nothing is removed as too old before it goes on evenly for a day"
                warnings.warn(f"{self.folder}: {why}", RuntimeWarning, stacklevel=2)
                return
            self._drop_before(min(segment.latest_available(sealed), now) - self._retention)

    def read(
        self, kind: str | None = None, since: int = 0, until: int | None = None
    ) -> pl.DataFrame:
        """The records of a kind, or of all, from a position on up to another, in their order."""
        while True:
            try:
                files = self._files(since)
                parts = [segment.read(path) for path in files]
            except FileNotFoundError:
                continue  # sealed or dropped meanwhile
            self._check_gaps(files, parts)
            found = pl.concat([pl.DataFrame(schema=segment.COLUMNS), *parts])
            found = found.filter(pl.col("position") >= since)
            found = found if until is None else found.filter(pl.col("position") < until)
            return found if kind is None else found.filter(kind=kind)

    def _check_gaps(self, files: list[Path], parts: list[pl.DataFrame]) -> None:
        """Raises `WorkError` where records are gone between two files, and nobody has said that he knows."""
        for (path, part), after in zip(zip(files, parts, strict=True), files[1:], strict=False):
            end, first = int(path.stem) + part.height, int(after.stem)
            if end > first or (end < first and not repair.is_gap_known(self.folder, end, first)):
                do = "`headrace log repair` goes on without them"
                raise WorkError(
                    str(self.folder), f"records {end} to {first - 1} are gone", "the whole log", do
                )

    def repair(self) -> list[str]:
        """Sets aside what is damaged, copies what is whole, and says in words what it did."""
        with exclusive_lock(self._writer), exclusive_lock(self.folder / "sealer.lock"):
            self._path = None
            return repair.repair_files(self.folder, self._files(0))

    def _drop_before(self, moment: int) -> None:
        kept = False
        for path in self._files(0):
            if path.suffix != SEALED or segment.latest_available(path) >= moment:
                kept = True
                continue
            if kept:  # what was known later stands before it
                first = int(path.stem)
                repair.add_gaps(self.folder, [[first, first + segment.count_records(path)]])
            segment.remove(path)

    def _files(self, since: int) -> list[Path]:
        """The files with records from a position on, in order; of one that was being sealed, the sealed one."""
        named: dict[float, Path] = {}
        if self.folder.is_dir():
            check_log_format(self.folder)
            for path in sorted(self.folder.iterdir()):
                if path.suffix in (OPEN, SEALED) and not path.name.startswith("."):
                    named[int(path.stem)] = path  # `.parquet` comes after `.open`
        firsts = sorted(named)
        return [named[first] for first, next_ in pairwise([*firsts, math.inf]) if next_ > since]

    def position(self, kinds: Sequence[str]) -> int:
        """The position behind the last record of some kinds; 0 where there is none."""
        while True:
            try:
                for path in reversed(self._files(0)):
                    found = segment.read(path).filter(pl.col("kind").is_in(list(kinds)))["position"]
                    if len(found):
                        return int(found[-1]) + 1
                return 0
            except FileNotFoundError:
                continue  # sealed or dropped meanwhile

    def _opened(self, first: int) -> None:
        self._path, self._first, self._size, self._count = (
            self.folder / f"{first:020d}{OPEN}",
            first,
            0,
            0,
        )
        self._sealed = self._path.with_suffix(SEALED)
        self._path.touch()  # positions go on from its name, whatever is dropped

    def _followed(self) -> bool:
        """Whether another process has left the file that this one knows, which was full, for a next one."""
        assert self._path is not None
        try:
            self._count_on()
        except FileNotFoundError:
            return True  # and it was sealed
        after = self.folder / f"{self.end:020d}"
        return bool(self._count) and (
            after.with_suffix(OPEN).exists() or after.with_suffix(SEALED).exists()
        )

    def _count_on(self) -> None:
        """Counts the records that came to the open file since."""
        assert self._path is not None
        for count, _, end in read_frames(self._path, self._size):
            self._count += count
            self._size = end

    def _recover(self) -> None:
        """Finds the end of the log, where another process may have written, and cuts off what one
        began and never acknowledged.
        """
        if self._sealed is not None and os.access(self._sealed, os.F_OK):
            self._path = None  # whoever sealed it was killed before it removed it
        if self._path is not None and self._size == _size_of(self._path):
            return  # whoever leaves a file for a next one has appended to it, or sealed it
        if self._path is None or not self._path.exists() or self._followed():
            files = self._files(0)
            if not files:
                write_format(self.folder)
                self._opened(0)
            elif files[-1].suffix == SEALED:
                files[-1].with_suffix(OPEN).unlink(missing_ok=True)
                self._opened(int(files[-1].stem) + segment.count_records(files[-1]))
            else:
                self._opened(int(files[-1].stem))
            self._count_on()
        assert self._path is not None
        if self._size < self._path.stat().st_size:
            os.truncate(self._path, self._size)


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
