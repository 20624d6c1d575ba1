"""Counting the events of a key before each row, vectorised: no row loop, no event from the future.

The exact meaning of a window is in `README.md` beside this file.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from millrace.errors import InputError, nearest
from millrace.spec import Window, duration_us

_HOUR_US = 3600 * 10**6
_HOPS_US = ((12 * _HOUR_US, 300 * 10**6), (12 * 24 * _HOUR_US, _HOUR_US))


def window_columns(window: Window) -> list[str]:
    """The names of the columns that a window makes.

    >>> window_columns(Window(name="user_clicks", events="clicks", key="user", over=["1h", "7d"]))
    ['user_clicks_1h', 'user_clicks_7d']
    """
    return [f"{window.name}_{over}" for over in window.over]


def add_windows(
    frame: pl.DataFrame,
    windows: list[Window],
    events: dict[str, pl.DataFrame],
    time: str | None,
    event_time: dict[str, str],
) -> pl.DataFrame:
    """Appends the columns of every window to the rows.

    Parameters: `frame` with the rows' `time` and key columns; `events`, the event tables by name; `event_time`, the
    time column of each. Raises `InputError` naming the window and what it misses.
    """
    for window in windows:
        where = f"features.windows {window.name!r}"
        if window.events not in events:
            known = list(events)
            raise InputError(
                where,
                f"no events {window.events!r}",
                f"one of data.events: {', '.join(known)}",
                nearest(window.events, known),
            )
        table, at = events[window.events], event_time[window.events]
        if time is None:
            raise InputError(where, "data.time is not set", "the column with the time of each row")
        for label, rows, column in (
            ("the rows", frame, window.key),
            (f"events {window.events!r}", table, window.key),
            (f"events {window.events!r}", table, at),
        ):
            if column not in rows.columns:
                raise InputError(
                    where,
                    f"no column {column!r} in {label}",
                    "one of: " + ", ".join(rows.columns),
                    nearest(column, rows.columns),
                )
        row_codes, event_codes = _key_codes(frame[window.key], table[window.key])
        row_times = _times(frame[time], where, "the rows")
        event_times = _times(table[at], where, f"events {window.events!r}")
        taken = [name for name in window_columns(window) if name in frame.columns]
        if taken:
            raise InputError(where, f"the table has a column {taken[0]!r} already", "another window name")
        counts = [
            pl.Series(name, count_before(row_codes, row_times, event_codes, event_times, over, window.hop))
            for name, over in zip(window_columns(window), window.over, strict=True)
        ]
        frame = frame.with_columns(counts)
    return frame


Times = npt.NDArray[np.int64]


def count_before(
    row_codes: Times, row_times: Times, event_codes: Times, event_times: Times, over: str, hop: str | None
) -> Times:
    """Counts, for each row, the events of its code in the window before it.

    Parameters: codes name keys (negative: no key), times are microseconds; `(N,)` for rows, `(M,)` for events.
    Events are sorted once by key and time; the two ends of each window are then found by bisection within the key.

    >>> count_before(np.array([0, 0]), np.array([10, 20]), np.array([0, 0, 1]), np.array([10, 15, 12]), "all", None)
    array([0, 2])
    """
    order = np.lexsort((event_times, event_codes))
    codes, times = event_codes[order], event_times[order]
    moments = np.unique(times)  # ranks of times, so that key and time fit one sortable integer
    ranked = codes * (len(moments) + 1) + np.searchsorted(moments, times)

    def position(edges: Times) -> Times:
        return np.searchsorted(ranked, row_codes * (len(moments) + 1) + np.searchsorted(moments, edges))

    if over == "all":
        start = np.searchsorted(codes, row_codes)
    else:
        span = duration_us(over)
        step = duration_us(hop) if hop is not None else next((h for most, h in _HOPS_US if span <= most), 24 * _HOUR_US)
        left = row_times - span
        start = position(left // step * step if step else left)
    return np.where(row_codes >= 0, position(row_times) - start, 0)


def _key_codes(rows: pl.Series, events: pl.Series) -> tuple[Times, Times]:
    """One code per key over both tables; a missing key of a row is -1, of an event a code that no row has."""
    keys = pl.concat([rows.cast(pl.String), events.cast(pl.String)])
    codes = keys.rank("dense").cast(pl.Int64)
    return codes.head(len(rows)).fill_null(-1).to_numpy(), codes.tail(len(events)).fill_null(0).to_numpy()


def _times(column: pl.Series, where: str, label: str) -> Times:
    if not column.dtype.is_temporal():
        raise InputError(where, f"{label}: {column.name!r} is no column of times", "ISO 8601 times")
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise InputError(where, f"{label}: row {row + 1} has no {column.name!r}", "a time in every row")
    return column.cast(pl.Datetime("us")).to_physical().to_numpy()
