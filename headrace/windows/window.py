"""The columns, the keys and the hop of a window, and the check that it can be computed."""

from collections.abc import Mapping

import polars as pl

from headrace.clock import DAY_US, HOUR_US, US_PER_S
from headrace.errors import InputError, nearest
from headrace.spec import AGGREGATES, Window, parse_duration_us
from headrace.windows.condition import Schema, parse_condition

_HOPS_US = ((12 * HOUR_US, 300 * US_PER_S), (12 * DAY_US, HOUR_US))
"""The longest windows and their hop, in microseconds; a still longer window has a hop of a day."""


def list_columns(window: Window) -> list[str]:
    """Return the names of the columns that a window makes.

    >>> list_columns(Window(name="user_clicks", events="clicks", key="user", over=["1h", "7d"]))
    ['user_clicks_1h', 'user_clicks_7d']
    """
    return [f"{window.name}_{over}" for over in window.over]


def list_keys(window: Window) -> list[str]:
    """Return the columns that make up a window's key.

    >>> list_keys(Window(name="clicks", events="clicks", key="user", over=["1h"]))
    ['user']
    """
    return [window.key] if isinstance(window.key, str) else window.key


def find_hop_us(window: Window, over: str) -> int:
    """Return the hop of a window of length `over`, in microseconds; 0 for an exact window.

    The left end of the window is a multiple of its hop.

    >>> find_hop_us(Window(name="clicks", events="clicks", key="user", over=["1h"]), "1h")
    300000000
    """
    if window.hop is not None:
        return parse_duration_us(window.hop)

    length_us = parse_duration_us(over)
    for most_us, hop in _HOPS_US:
        if length_us <= most_us:
            return hop
    return DAY_US


def check_window(window: Window, rows: Schema, events: Mapping[str, Schema]) -> str:
    """Check that a window can be computed, and return its place in the spec.

    Parameters: the types of the columns of the `rows`, and those of the event tables by name.
    Raises `InputError` if the window cannot be computed.
    """
    where = f"features.windows {window.name!r}"
    if window.events not in events:
        raise InputError(
            where,
            f"no events {window.events!r}",
            f"one of data.events: {', '.join(events)}",
            nearest(window.events, list(events)),
        )

    table = events[window.events]
    _check_keys(window, rows, table, where)
    _check_of(window, table, where)
    _check_where(window, table, where)
    return where


def _check_keys(window: Window, rows: Schema, table: Schema, where: str) -> None:
    """Raise `InputError` if rows or events lack a key, or the two cannot be compared."""
    for label, schema in (("the rows", rows), (f"events {window.events!r}", table)):
        for key in list_keys(window):
            if key not in schema:
                raise _absence_error(where, f"no column {key!r} in {label}", key, schema)

    for key in list_keys(window):
        if rows[key] == pl.Boolean and table[key] == pl.String:
            found = f"the key {key!r} is true or false in the rows, and text in the events"
            raise InputError(where, found, "a key of one type in both")


def _check_of(window: Window, table: Schema, where: str) -> None:
    """Raise `InputError` if the column `of` does not suit the aggregate."""
    of = window.of
    needed = AGGREGATES[window.aggregate].of
    if (of is None) == (needed != "events"):
        found = "no `of`" if of is None else f"of {of!r}"
        with_of = ", ".join(name for name, row in AGGREGATES.items() if row.of != "events")
        raise InputError(
            where,
            f"{found} with aggregate {window.aggregate}",
            f"`of` only with {with_of}",
        )
    if of is None:
        return

    if of not in table:
        raise _absence_error(where, f"no column {of!r} in events {window.events!r}", of, table)
    dtype = table[of]
    if needed == "numbers" and not (dtype.is_numeric() or dtype == pl.Boolean):
        raise InputError(
            where,
            f"{window.aggregate} of {of!r}, which holds {dtype}",
            "a column of numbers",
        )


def _check_where(window: Window, table: Schema, where: str) -> None:
    """Raise `InputError` if the window's condition is missing, or cannot be read."""
    if AGGREGATES[window.aggregate].needs_where and window.where is None:
        raise InputError(
            where,
            f"a {window.aggregate} without `where`",
            "a condition: the rate is the share of events for which it holds",
        )
    if window.where is not None:
        parse_condition(window.where, where, table)


def _absence_error(where: str, found: str, column: str, schema: Schema) -> InputError:
    expected = "one of: " + ", ".join(schema)
    return InputError(where, found, expected, nearest(column, list(schema)))
