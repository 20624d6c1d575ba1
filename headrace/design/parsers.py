"""Parsers of answers, whether a person typed them at a prompt or gave them as a flag.

A parser takes the text of an answer and the name of its field in `Answers`. It returns a value, or
raises `InputError` with the field's flag. The functions `accept_…` make such parsers:

>>> parse = accept_none_or(accept_list_of(accept_one_of("roc_auc", "log_loss", "brier")), [])
>>> parse("brier, roc_auc", "secondary"), parse("-", "secondary")
(['brier', 'roc_auc'], [])
>>> parse("logloss", "secondary")
Traceback (most recent call last):
headrace.errors.InputError: --secondary: 'logloss'; expected one of: roc_auc, log_loss, brier; \
did you mean 'log_loss'?
"""

import re
from collections.abc import Callable
from typing import Any

import polars as pl

from headrace.errors import InputError, nearest
from headrace.spec.names import safe_name

AnswerParser = Callable[[str, str], Any]
"""Turns an answer's text into a value; the second argument names the field for an `InputError`."""

NONE = "-"
"""The answer that says that there is none."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_DURATION = re.compile(r"\d+(\.\d+)?(us|ms|s|min|h|d|w)")


def flag_name(field: str) -> str:
    """Return the command-line flag of a field of `Answers`.

    >>> flag_name("label_delay")
    '--label-delay'
    """
    return "--" + field.replace("_", "-")


def accept_none_or(parse: AnswerParser, empty: Any = None) -> AnswerParser:
    """Make a parser that returns `empty` for `-`, and else parses."""
    return lambda text, field: empty if text == NONE else parse(text, field)


def accept_list_of(parse: AnswerParser) -> AnswerParser:
    """Make a parser of several answers, separated by commas."""
    return lambda text, field: [parse(part.strip(), field) for part in text.split(",")]


def accept_one_of(*known: str) -> AnswerParser:
    """Make a parser that accepts only the known words."""

    def parse(text: str, field: str) -> str:
        if text not in known:
            expected = "one of: " + ", ".join(known)
            raise InputError(flag_name(field), repr(text), expected, nearest(text, known))
        return text

    return parse


def accept_column(frame: pl.DataFrame) -> AnswerParser:
    """Make a parser that accepts the name of a column of a table."""

    def parse(text: str, field: str) -> str:
        name = text if text in frame.columns else safe_name(text)
        if name not in frame.columns:
            expected = "one of: " + ", ".join(frame.columns)
            hint = nearest(name, frame.columns)
            raise InputError(flag_name(field), f"no column {name!r}", expected, hint)
        return name

    return parse


def accept_columns(frame: pl.DataFrame) -> AnswerParser:
    """Make a parser that accepts names of columns, and returns each once.

    A column whose name holds a comma can only be named alone.
    """
    parse_list = accept_list_of(accept_column(frame))

    def parse(text: str, field: str) -> list[str]:
        names = [text] if text in frame.columns else parse_list(text, field)
        return list(dict.fromkeys(names))

    return parse


def accept_time(frame: pl.DataFrame) -> AnswerParser:
    """Make a parser that accepts the column, or the columns, by which rows can be ordered.

    A single column must hold a date or a whole number in every row. Several columns are the parts
    of a time, from the year on.
    """

    def parse(text: str, field: str) -> str | list[str]:
        if text not in frame.columns and "," in text:
            return [str(accept_column(frame)(part.strip(), field)) for part in text.split(",")]
        name: str = accept_column(frame)(text, field)
        times = frame[name]
        if not (times.dtype in (pl.Date, pl.Datetime) or times.dtype.is_integer()):
            found = f"{name!r} holds {times.dtype}"
            raise InputError(flag_name(field), found, "dates or whole numbers")
        if times.null_count():
            found = f"{name!r} has missing values ({times.null_count()})"
            raise InputError(flag_name(field), found, "a time in every row")
        return name

    return parse


def parse_system_name(text: str, field: str) -> str:
    """Accept a name that a system may have."""
    if not _NAME.fullmatch(text) or len(text) > 64:
        expected = "up to 64 letters, digits, _ or -, starting with a letter"
        raise InputError(flag_name(field), repr(text), expected)
    return text


def parse_count(text: str, field: str) -> int:
    """Parse a whole number from 0 on.

    >>> parse_count("20", "trials")
    20
    """
    if not re.fullmatch(r"\d{1,9}", text):
        raise InputError(flag_name(field), repr(text), "a whole number, 0 or more")
    return int(text)


def parse_number(text: str, field: str) -> float:
    """Parse a number above 0.

    >>> parse_number("4,000", "throughput"), parse_number("0.5", "latency_ms")
    (4000, 0.5)
    """
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise InputError(flag_name(field), repr(text), "a number above 0")
    return int(value) if value.is_integer() else value


def parse_duration(text: str, field: str) -> str:
    """Parse a number and a unit of time.

    >>> parse_duration("14 d", "label_delay")
    '14d'
    """
    duration = text.replace(" ", "")
    if not _DURATION.fullmatch(duration):
        expected = "a number and one of us, ms, s, min, h, d, w, such as 7d"
        raise InputError(flag_name(field), repr(text), expected)
    return duration


def parse_costs(text: str, field: str) -> dict[str, Any]:
    """Parse the costs of a false alarm and of a miss into the branch `goal.decision`.

    >>> parse_costs("1:5", "costs")
    {'by': 'cost', 'false_positive': 1, 'false_negative': 5}
    """
    costs = text.split(":")
    if len(costs) != 2:
        expected = "two costs, of a false alarm and of a miss, such as 1:5"
        raise InputError(flag_name(field), repr(text), expected)
    return {
        "by": "cost",
        "false_positive": parse_number(costs[0], field),
        "false_negative": parse_number(costs[1], field),
    }
