"""Takes in feedback: what came of predictions, as records of a log of their own.

    {"prediction_id": …, "outcome": 1}          by the id of a prediction
    {"id": "order-7", "outcome": 49.5}          by the row's own id, `data.id` of the spec
      │ parse
      v
    Record(id, time, available, "outcomes", {"by": …, "name": …, "outcome_id": …, "outcome": …})
      │ append: `available` is the time inside the lock of the log
      v
    log/outcomes

An outcome of the same prediction, name and outcome id replaces the one before, null takes it back,
and outcomes of different outcome ids add up.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from headrace.clock import SYSTEM, US_PER_S, Clock, to_us
from headrace.errors import InputError
from headrace.log import Frame, Log, Record
from headrace.outcomes.ids import PredictionId, read_id

OUTCOMES = "outcomes"
"""The kind of a logged outcome."""
WATERMARK = "watermark"
"""The kind of a mark in the log of outcomes."""
MAX_SKEW_US = 60 * US_PER_S
"""Clocks of two machines may differ by so much: what is later is from the future."""
_MOST_LETTERS = 200


class Outcome(Struct, forbid_unknown_fields=True):
    """One outcome as it is sent; `outcome` must be there, and null takes an earlier one back."""

    outcome: float | str | bool | UnsetType | None = UNSET
    prediction_id: str | None = None
    id: str | int | float | None = None
    name: str | None = None
    outcome_id: str | int | None = None
    time: str | int | None = None


class LoggedOutcome(Struct, frozen=True):
    """An outcome as it is logged; `by` says what the id of its record names."""

    by: Literal["prediction", "row"]
    name: str
    outcome_id: str
    outcome: float | str | None


class Expected(Struct, frozen=True):
    """What an outcome is expected to be like.

    `name` is the one that is meant where an outcome names none; `labels` says that it is a label;
    `row_id` is the column by which rows are known; `last_version` the highest there ever was.
    """

    name: str
    labels: bool
    row_id: str | None
    last_version: int


class Parsed(NamedTuple):
    """An outcome that was checked: the id that it is by, when it happened, and what is logged."""

    id: str
    time: int
    payload: bytes


_encode = msgspec.json.Encoder().encode


def parse(outcomes: Sequence[Outcome], expected: Expected, now_us: int) -> list[Parsed]:
    """Check outcomes, and return them as they are logged.

    Raises `InputError` naming the row and the field, and nothing is taken then.
    """
    return [_parse_one(one, number, expected, now_us) for number, one in enumerate(outcomes)]


def _parse_one(one: Outcome, number: int, expected: Expected, now_us: int) -> Parsed:
    where = f"outcomes[{number}]"
    if one.prediction_id is not None and one.id is None:
        key = _check_prediction_id(one.prediction_id, where, expected, now_us)
        by: Literal["prediction", "row"] = "prediction"
    elif one.id is not None and one.prediction_id is None:
        key = _check_row_id(one.id, where, expected)
        by = "row"
    else:
        found = "both `prediction_id` and `id`" if one.id is not None else "neither id"
        raise InputError(where, found, "one of `prediction_id` and `id`")
    name = expected.name if one.name is None else one.name
    time = now_us if one.time is None else _read_time(one.time, where, now_us)
    outcome_id = "" if one.outcome_id is None else str(one.outcome_id)
    for field, text in (("name", name), ("outcome_id", outcome_id)):
        if len(text) > _MOST_LETTERS:
            raise InputError(f"{where}.{field}", f"{len(text)} letters", "at most 200")
    value = _check_outcome(one.outcome, f"{where}.outcome", expected, name)
    return Parsed(key, time, _encode(LoggedOutcome(by, name, outcome_id, value)))


def _check_prediction_id(text: str, where: str, expected: Expected, now_us: int) -> str:
    place = f"{where}.prediction_id"
    try:
        parts: PredictionId = read_id(text)
    except ValueError:
        found = f"{text[:40]!r}"
        raise InputError(place, found, "28 hexadecimal digits, as a reply has them") from None
    if parts.time > now_us + MAX_SKEW_US:
        raise InputError(place, "an id from the future", "an id that a reply had")
    if not 1 <= parts.version <= expected.last_version:
        found = f"an id of version {parts.version}"
        raise InputError(place, found, f"a version from 1 to {expected.last_version}")
    return text.lower()


def _check_row_id(row_id: str | float, where: str, expected: Expected) -> str:
    if expected.row_id is None:
        do = "name the column in `data.id`, or send `prediction_id`"
        raise InputError(f"{where}.id", "the spec has no `data.id`", "a spec with one", do)
    text = write_number(row_id) if isinstance(row_id, float) else str(row_id)
    if not text or len(text) > _MOST_LETTERS:
        raise InputError(f"{where}.id", f"{len(text)} letters", "1 to 200")
    return text


def _check_outcome(value: Any, where: str, expected: Expected, name: str) -> float | str | None:
    if value is UNSET:
        raise InputError(where, "nothing", "a number, or null to take an outcome back")
    if value is None:
        return None
    is_label = expected.labels and name == expected.name
    if isinstance(value, str):
        if is_label and len(value) <= _MOST_LETTERS:
            return value
        raise InputError(where, repr(value[:40]), "a number, true or false")
    number = float(value)
    if not math.isfinite(number):
        raise InputError(where, f"{value}", "a finite number")
    if is_label:
        return str(value).lower() if isinstance(value, bool) else write_number(number)
    return number


def write_number(number: float) -> str:
    """Write a number as text: 7.0 and 7 are one.

    >>> write_number(7.0), write_number(7.5)
    ('7', '7.5')
    """
    return str(int(number)) if number.is_integer() else str(number)


def _read_time(time: str | int, where: str, now_us: int) -> int:
    """Read a time in ISO 8601, or in microseconds since 1970 UTC."""
    try:
        moment = time if isinstance(time, int) else to_us(datetime.fromisoformat(time))
    except (ValueError, OverflowError):
        expected = "a time in ISO 8601, or in microseconds since 1970 UTC"
        raise InputError(f"{where}.time", repr(str(time)[:40]), expected) from None
    if not 0 <= moment <= now_us + MAX_SKEW_US:
        found = f"{str(time)[:40]}, in the future" if moment > 0 else str(time)[:40]
        latest = datetime.fromtimestamp(now_us / US_PER_S, UTC).isoformat(timespec="seconds")
        raise InputError(f"{where}.time", found, f"a time up to {latest}")
    return moment


def append(
    log: Log, outcomes: Sequence[Parsed], patience_s: float | None = None, clock: Clock = SYSTEM
) -> None:
    """Append outcomes to their log, all or none; they are durable then.

    They arrive now, by the clock inside the lock of the log: so what is appended later arrives
    later, unless the clock is set back. Readers let no arrival go back behind one before it.

    Raises `BusyError` where another process holds the log for longer, and `WorkError` where the
    disk refuses.
    """
    with log.append_lock(patience_s):
        now_us = clock.now_us()
        log.append(
            Frame(Record(one.id, one.time, now_us, OUTCOMES, one.payload) for one in outcomes)
        )


def read_watermark(log: Log, clock: Clock = SYSTEM) -> int:
    """Return a time (microseconds) before which nothing arrives any more."""
    with log.append_lock():
        return clock.now_us()


def append_watermark(log: Log, watermark_us: int) -> None:
    """Append a mark: whatever comes behind it has arrived later, also if the clock was set back."""
    with log.append_lock():
        log.append([Record("", watermark_us, watermark_us, WATERMARK, b"")])
