"""Window features of rows that lack them: read from the online store, in one round trip a batch.

The service does not wait for a store that is gone, slow or empty. It answers rows without these
features, and asks the store again `RETRY_S` seconds later.
"""

from collections.abc import Callable
from typing import Any

from headrace.clock import SYSTEM
from headrace.errors import HeadraceError, InputError
from headrace.predict import parse_time
from headrace.serve.log_event import log_event
from headrace.store import MAX_CLOCK_SKEW_US, WindowReader, clock_ahead_error
from headrace.tables import Column

RETRY_S = 0.25
Row = dict[str, Any]


class Windows:
    """A reader of the window features `names` of rows.

    Parameters:
        names: the features that the model wants.
        time_name: the column that says which time a row is about, where rows have one; without a
            value there, a row is about now.
        time_column: that column of the model, where the model has it.
        open_reader: opens the store; raises `HeadraceError` where it cannot be reached.
    """

    def __init__(
        self,
        names: frozenset[str],
        time_name: str | None,
        time_column: Column | None,
        open_reader: Callable[[], WindowReader],
    ) -> None:
        self._names = names
        self._time_name = time_name
        self._time_column = time_column
        self._open_reader = open_reader
        self._reader: WindowReader | None = None
        self._retry_at_s = 0.0
        self._has_reported = False

    def open(self) -> None:
        """Open the store, so that the first row does not have to."""
        self._find_reader()

    def read(self, rows: list[Row]) -> list[Row] | None:
        """Return the window features of each row, or None where the store cannot be read.

        The features of an entity whose bytes are damaged are absent, and spoil no others. Raises
        `InputError` for a bad key or time of a row.
        """
        moments = self._read_times(rows)
        reader = self._find_reader()
        if reader is None:
            return None
        try:
            features = reader.rows(rows, moments)
            self._check(reader)
        except HeadraceError as error:
            # The store is not at fault for a bad key in a row: this raises `InputError` for one.
            if isinstance(error, InputError):
                reader.names(rows)
            self._lose(error)
            return None
        self._has_reported = False
        names = self._names
        return [{name: row[name] for name in names if name in row} for row in features]

    def _check(self, reader: WindowReader) -> None:
        """Raise `InputError` for a store that is ahead of the clock, or lacks a window."""
        now = SYSTEM.now_us()
        if reader.horizon > now + MAX_CLOCK_SKEW_US:
            raise clock_ahead_error(reader.horizon, now)
        lacking = self._names.difference(reader.layout.columns)
        if lacking:
            do = "`headrace materialize` fills it for the windows of the model"
            raise InputError("the online store", f"no window {min(lacking)!r} in it", "", do)

    def _find_reader(self) -> WindowReader | None:
        """Return the open reader; open it where it is time to, or return None."""
        if self._reader is None and SYSTEM.monotonic_s() >= self._retry_at_s:
            try:
                self._reader = self._open_reader()
            except HeadraceError as error:
                self._lose(error)
        return self._reader

    def _lose(self, error: HeadraceError) -> None:
        """Give up the reader for `RETRY_S` seconds, and report that once."""
        self._reader = None
        self._retry_at_s = SYSTEM.monotonic_s() + RETRY_S
        if not self._has_reported:
            do = "rows are answered without their window features"
            log_event("warning", "store_lost", why=str(error), do=do)
            self._has_reported = True

    def _read_times(self, rows: list[Row]) -> list[int]:
        """Return the time that each row is about, in microseconds since 1970 UTC."""
        now = SYSTEM.now_us()
        if self._time_name is None:
            return [now] * len(rows)
        times = []
        for number, row in enumerate(rows, 1):
            value = row.get(self._time_name)
            try:
                times.append(now if value is None else parse_time(value, self._time_column))
            except (TypeError, ValueError, OverflowError):
                where = f"row {number}, column {self._time_name!r}"
                shown = "" if isinstance(value, list | dict) else f" {str(value)[:60]!r}"
                found = f"the value{shown} ({type(value).__name__})"
                raise InputError(where, found, "an ISO 8601 time") from None
        return times
