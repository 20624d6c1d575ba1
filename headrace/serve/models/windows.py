"""The window features of rows that do not bring them: read from the online store, in one round trip
for a batch.

A store that is gone, slow or empty is not waited for: rows are answered without these features, and
the store is asked again a little later.
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
    """Reads the windows `names` of rows, as of now or, where a row tells the `time` it is about, as of then."""

    def __init__(
        self,
        names: frozenset[str],
        time_name: str | None,
        time_column: Column | None,
        open_reader: Callable[[], WindowReader],
    ) -> None:
        self._names, self._time, self._column, self._open_reader = (
            names,
            time_name,
            time_column,
            open_reader,
        )
        self._reader: WindowReader | None = None
        self._again_s, self._said = 0.0, False

    def open(self) -> None:
        """Opens the store, so that the first row does not have to."""
        self._ready()

    def read(self, rows: list[Row]) -> list[Row] | None:
        """The windows of each row, but for entities whose bytes are damaged; none where the store
        does not tell them.

        Raises `InputError` for a key or a time of a row that is none.
        """
        moments = self._moments(rows)
        reader = self._ready()
        if reader is None:
            return None
        try:
            found = reader.rows(rows, moments)
            now = SYSTEM.now_us()
            if reader.horizon > now + MAX_CLOCK_SKEW_US:
                raise clock_ahead_error(reader.horizon, now)
            if lacks := sorted(self._names.difference(reader.layout.columns)):
                do = "`headrace materialize` fills it for the windows of the model"
                raise InputError("the online store", f"no window {lacks[0]!r} in it", "", do)
        except HeadraceError as error:
            if isinstance(error, InputError):  # a row's own fault is told to whoever sent it
                reader.names(rows)
            self._lost(error)
            return None
        self._said = False
        return [
            {name: windows[name] for name in self._names if name in windows} for windows in found
        ]

    def _ready(self) -> WindowReader | None:
        if self._reader is None and SYSTEM.monotonic_s() >= self._again_s:
            try:
                self._reader = self._open_reader()
            except HeadraceError as error:
                self._lost(error)
        return self._reader

    def _lost(self, error: HeadraceError) -> None:
        self._reader, self._again_s = None, SYSTEM.monotonic_s() + RETRY_S
        if not self._said:
            log_event(
                "warning",
                "store_lost",
                why=str(error),
                do="rows are answered without their window features",
            )
            self._said = True

    def _moments(self, rows: list[Row]) -> list[int]:
        now = SYSTEM.now_us()
        if self._time is None:
            return [now] * len(rows)
        moments = []
        for at, row in enumerate(rows, 1):
            told = row.get(self._time)
            try:
                moments.append(now if told is None else parse_time(told, self._column))
            except (TypeError, ValueError, OverflowError):
                where = f"row {at}, column {self._time!r}"
                shown = "" if isinstance(told, list | dict) else f" {str(told)[:60]!r}"
                raise InputError(
                    where, f"the value{shown} ({type(told).__name__})", "an ISO 8601 time"
                ) from None
        return moments
