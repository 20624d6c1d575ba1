"""Single values of rows, of every type in which they may come."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from millrace.errors import InputError
from millrace.features import text_of
from millrace.features.calendar import MISSING_TIME
from millrace.tables import Column
from millrace.tables.written import parse_number, parse_time

Reader = Callable[[Any, Column], Any]
"""Raises `ValueError`, `TypeError` or `OverflowError` for a value that cannot be used."""
_EPOCH = datetime(1970, 1, 1)


def read_value(value: Any, where: str, column: Column, read: Reader, missing: frozenset[str]) -> Any:
    """A value as the graph takes it; raises `InputError` at `where` for one that cannot be used."""
    if isinstance(value, np.generic):
        value = value.item()
    if (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and value in missing)
    ):
        return _MISSING[read]
    try:
        return read(value, column)
    except (ValueError, TypeError, OverflowError):
        shown = "" if isinstance(value, list | dict) else f" {str(value)[:60]!r}"
        raise InputError(where, f"the value{shown} ({type(value).__name__})", _EXPECTED[read]) from None


def vector_of(value: Any, column: Column) -> list[float]:
    """Numbers, as many as the column is wide; see `Reader` for the errors."""
    if isinstance(value, str) or len(value) != column.width:
        raise TypeError
    return [float(number) for number in value]


def number_of(value: Any, column: Column) -> float:
    """A number, also as the training table wrote it; see `Reader` for the errors."""
    if isinstance(value, str) and column.dtype == "boolean":
        return {"true": 1.0, "false": 0.0}[value.lower()] if value.lower() in ("true", "false") else float("x")
    if isinstance(value, str) and column.written is not None:
        return parse_number(value, column.written)
    if isinstance(value, str | int | float):
        return float(value)
    raise TypeError


def category_of(value: Any, column: Column) -> str:
    """The text of a category; see `Reader` for the errors."""
    return text_of(value)


def moment_of(value: Any, column: Column | None = None) -> int:
    """A time, a date, or the ISO 8601 text of one, in microseconds since 1970 UTC; also as times were written in the
    training table, where the `column` is known. Raises `TypeError`, `ValueError` or `OverflowError`.

    >>> moment_of("1970-01-01T01:00:00.5+01:00")
    500000
    """
    if column is not None and column.written is not None and isinstance(value, str | int | float):
        value = _written_time(value, column.written)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, date):
        raise TypeError
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    past: timedelta = value - _EPOCH
    return (past.days * 86_400 + past.seconds) * 10**6 + past.microseconds


def _written_time(value: Any, written: str) -> datetime:
    """As in the training table, or else ISO 8601, which is what a typed table turns times into."""
    try:
        return parse_time(value, written)
    except ValueError:
        return datetime.fromisoformat(value)


_MISSING: dict[Reader, Any] = {number_of: float("nan"), category_of: "", moment_of: MISSING_TIME, vector_of: None}
_EXPECTED: dict[Reader, str] = {
    number_of: "a number",
    category_of: "text",
    moment_of: "an ISO 8601 time",
    vector_of: "a list of numbers, as many as in training",
}
