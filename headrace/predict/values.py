"""Single values of rows, of every type in which they may come."""

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from headrace.clock import to_us
from headrace.errors import InputError
from headrace.features import to_text
from headrace.features.graph.blanks import BLANKS
from headrace.features.graph.reserved import MISSING_TIME
from headrace.spec import format_label
from headrace.tables import Column, describe_expected, numbers, times

Parser = Callable[[Any, Column], Any]
"""Reads a value that is not missing.

Raises `KeyError`, `ValueError`, `TypeError` or `OverflowError` for one that cannot be used.
"""
FLAGS: dict[Any, bool] = {
    True: True,
    False: False,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
}
"""The values of a flag; 1 and 1.0 are the same key as true."""


def read_value(
    value: Any, where: str, column: Column, read: Parser, missing: frozenset[str]
) -> Any:
    """Read a value as the graph takes it.

    `missing` are the words that mean missing in every column. Raises `InputError` at `where` for a
    value that cannot be used.
    """
    value = to_plain(value)
    if is_empty(value):
        return _MISSING[read]
    if isinstance(value, str):
        text = value.strip(BLANKS)
        if text in missing or text in column.words:
            return _MISSING[read]
    try:
        return read(value, column)
    except (KeyError, ValueError, TypeError, OverflowError):
        shown = "" if isinstance(value, list | dict) else f" {str(value)[:60]!r}"
        raise InputError(
            where, f"the value{shown} ({type(value).__name__})", describe_expected(column)
        ) from None


def to_plain(value: Any) -> Any:
    """Return a value of NumPy, or an exact decimal, as Python's own type of it.

    >>> to_plain(np.datetime64("2024-03-01T12:00:00.000000000")).isoformat()
    '2024-03-01T12:00:00'
    >>> to_plain(Decimal("7.0"))
    7.0
    """
    if isinstance(value, np.datetime64):
        # Of nanoseconds `item` makes a number, of microseconds a datetime.
        return value.astype("datetime64[us]").item()
    if isinstance(value, np.generic):
        return value.item()
    return float(value) if isinstance(value, Decimal) else value


def is_empty(value: Any) -> bool:
    """Say whether a value is none: None, NaN, or pandas' NaT or NA.

    >>> is_empty(None), is_empty(float("nan")), is_empty(0.0)
    (True, True, False)
    """
    # NaN and NaT do not equal themselves.
    if value is None or (isinstance(value, float | date) and value != value):  # noqa: PLR0124
        return True
    # By its name: pandas need not be installed.
    return type(value).__name__ == "NAType"


def parse_vector(value: Any, column: Column) -> list[float]:
    """Read numbers, as many as the column is wide, NaN for one that is missing; see `Parser`."""
    if isinstance(value, str) or len(value) != column.width:
        raise TypeError
    return [math.nan if number is None else float(number) for number in value]


def parse_number(value: Any, column: Column) -> float:
    """Read a number, also as the training table wrote it; see `Parser`.

    A column of flags has 0, 1, true and false alone.
    """
    if column.dtype == "boolean":
        return float(FLAGS[value.strip(BLANKS).lower() if isinstance(value, str) else value])
    if isinstance(value, str):
        if column.written is not None:
            with suppress(ValueError):
                return numbers.parse_value(value, column.written)
        return numbers.plain_value(value)
    if isinstance(value, int | float):
        return float(value)
    raise TypeError


def parse_category(value: Any, column: Column) -> str:
    """Read the text of a category; see `Parser`.

    Where training had numbers or flags, it is the text of the number or flag that is meant.
    """
    if column.dtype == "boolean":
        return str(bool(parse_number(value, column))).lower()
    if column.dtype in ("integer", "number") and isinstance(value, str | bool):
        return format_label(parse_number(value, column))
    return to_text(value)


def parse_time(value: Any, column: Column | None = None) -> int:
    """Read a time, a date, or the ISO 8601 text of one, in microseconds since 1970 UTC.

    With a `column`, also as its times were written in the training table, and with a zone where
    those had one. Raises `TypeError`, `ValueError` or `OverflowError`.

    >>> parse_time("1970-01-01T01:00:00.5+01:00")
    500000
    """
    form = column.written if column is not None else None
    if isinstance(value, str) or (form is not None and isinstance(value, int | float)):
        value = times.parse_value(value, form)
    elif not isinstance(value, date):
        raise TypeError
    return to_us(times.utc_of(value, column.zoned if column is not None else None))


_MISSING: dict[Parser, Any] = {
    parse_number: float("nan"),
    parse_category: "",
    parse_time: MISSING_TIME,
    parse_vector: None,
}
