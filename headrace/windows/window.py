"""What a window is called, what it needs, and whether it can be."""

from collections.abc import Mapping

import polars as pl

from headrace.clock import DAY_US, HOUR_US, US_PER_S
from headrace.errors import InputError, nearest
from headrace.spec import AGGREGATES, Window, duration_us
from headrace.windows.condition import parse_condition

_HOPS_US = ((12 * HOUR_US, 300 * US_PER_S), (12 * DAY_US, HOUR_US))


def window_columns(window: Window) -> list[str]:
    """The names of the columns that a window makes.

    >>> window_columns(Window(name="user_clicks", events="clicks", key="user", over=["1h", "7d"]))
    ['user_clicks_1h', 'user_clicks_7d']
    """
    return [f"{window.name}_{over}" for over in window.over]


def window_keys(window: Window) -> list[str]:
    """The columns that name a window's key."""
    return [window.key] if isinstance(window.key, str) else window.key


def hop_us(window: Window, over: str) -> int:
    """What the left end of a window is a multiple of, in microseconds; 0 where it is exact."""
    if window.hop is not None:
        return duration_us(window.hop)
    span = duration_us(over)
    return next((hop for most, hop in _HOPS_US if span <= most), DAY_US)


def check_window(
    window: Window, rows: Mapping[str, pl.DataType], events: Mapping[str, Mapping[str, pl.DataType]]
) -> str:
    """Where a window stands in the spec; raises `InputError` where it cannot be.

    Parameters: the types of the columns of the `rows`, and of the tables of `events` by name.
    """
    where, row, of = f"features.windows {window.name!r}", AGGREGATES[window.aggregate], window.of
    if window.events not in events:
        told = f"one of data.events: {', '.join(events)}"
        raise InputError(
            where, f"no events {window.events!r}", told, nearest(window.events, list(events))
        )
    table = events[window.events]
    for label, schema in (("the rows", rows), (f"events {window.events!r}", table)):
        for column in window_keys(window):
            if column not in schema:
                known = "one of: " + ", ".join(schema)
                raise InputError(
                    where, f"no column {column!r} in {label}", known, nearest(column, list(schema))
                )
    _check_keys(window, rows, table, where)
    if (of is None) == (row.of != "events"):
        said = "no `of`" if of is None else f"of {of!r}"
        with_of = ", ".join(name for name, one in AGGREGATES.items() if one.of != "events")
        raise InputError(
            where, f"{said} with aggregate {window.aggregate}", f"one with {with_of} alone"
        )
    if of is not None and of not in table:
        known = "one of: " + ", ".join(table)
        raise InputError(
            where, f"no column {of!r} in events {window.events!r}", known, nearest(of, list(table))
        )
    dtype = pl.Float64() if of is None else table[of]
    if row.of == "numbers" and not (dtype.is_numeric() or dtype == pl.Boolean):
        raise InputError(
            where, f"{window.aggregate} of {of!r}, which holds {dtype}", "a column of numbers"
        )
    if row.needs_where and window.where is None:
        raise InputError(
            where,
            f"a {window.aggregate} without `where`",
            "a condition: the rate is of the events for which it holds",
        )
    if window.where is not None:
        parse_condition(window.where, where, table)
    return where


def _check_keys(
    window: Window,
    rows: Mapping[str, pl.DataType],
    events: Mapping[str, pl.DataType],
    where: str,
) -> None:
    """Raises `InputError` where events name a key in a form that cannot be read as the rows' form."""
    for key in window_keys(window):
        if rows[key] == pl.Boolean and events[key] == pl.String:
            found = f"the key {key!r} is true or false in the rows, and text in the events"
            raise InputError(where, found, "a key of one type in both")
