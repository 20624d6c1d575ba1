"""Putting questions, and reading what was answered: the same whether it was typed at a prompt or given as a flag."""

import re
from collections.abc import Callable
from typing import Any

import polars as pl
from msgspec import Struct

from headrace.design.commented import FieldValues
from headrace.errors import InputError, nearest
from headrace.spec.labels import label_text
from headrace.spec.names import safe_name

NONE = "-"
"""An answer that says that there is none."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_DURATION = re.compile(r"\d+(\.\d+)?(us|ms|s|min|h|d|w)")


class Answers(Struct, frozen=True, kw_only=True):
    """What was said already, each as it would be typed: several names are separated by commas, and
    `-` says that there is none. What is left out is asked, where there is somebody to ask, or
    inferred.
    """

    target: str | None = None
    name: str | None = None
    query: str | None = None
    holdout: str | None = None
    task: str | None = None
    positive: str | None = None
    metric: str | None = None
    secondary: str | None = None
    id: str | None = None
    time: str | None = None
    group: str | None = None
    label_delay: str | None = None
    prediction: str | None = None
    latency_ms: str | None = None
    throughput: str | None = None
    costs: str | None = None
    sensitive: str | None = None
    read: list[str] = []


class Question(Struct, frozen=True):
    """What is asked, what no answer would mean and why, what may be answered, what was wrong with the last answer."""

    text: str
    suggestion: str
    why: str
    known: list[str] = []
    problem: str = ""


Ask = Callable[[Question], str]
"""Puts a question and returns what was answered; an empty answer takes the suggestion."""
AnswerParser = Callable[[str, str], Any]
"""Makes a value of an answer's text; the second text is the field, whose flag an `InputError` names."""


class Field(Struct, frozen=True):
    """A field of the spec that a person may answer for.

    `name` is the field of `Answers`, `path` the one of the spec, `parse` makes its value of a text.
    An `optional` field stays out of the spec unless somebody answers. `unless` is the reason why
    the field does not apply; then nobody is asked. `known` are the answers that are possible.
    """

    name: str
    path: str
    parse: AnswerParser
    optional: bool = False
    unless: str = ""
    known: list[str] = []


class Review:
    """Settles one field after the other: from `Answers`, by asking, or from what the data suggest."""

    def __init__(self, answers: Answers, ask: Ask | None) -> None:
        self.answers = answers
        self._ask = ask
        self.settled: FieldValues = {}

    def record(self, path: str, value: Any, why: str = "") -> None:
        """Records the value of a field that nobody is asked for."""
        self.settled[tuple(path.split("."))] = value, why

    def settle(self, field: Field, text: str, suggestion: Any, why: str) -> Any:
        """Settles a field and returns its value.

        Parameters: `text`, the question; `suggestion`, the value if nobody answers, and `why`.
        Raises `InputError` where a field that does not apply was answered.
        """
        given: str | None = getattr(self.answers, field.name)
        if given not in (None, NONE) and field.unless:
            raise InputError(_flag(field.name), repr(given), f"nothing: {field.unless}")

        answered = True
        if given is not None:
            value, why = field.parse(given, field.name), "as you said"
        elif self._ask is not None and not field.unless:
            question = Question(text, _shown(suggestion), why, field.known)
            value = self._put(question, field, suggestion)
            why = why if value == suggestion else "as you said"
        else:
            value, answered = suggestion, False

        if not field.optional or (answered and value not in (None, [])):
            self.record(field.path, value, why)
        return value

    def _put(self, question: Question, field: Field, suggestion: Any) -> Any:
        """Puts a question until its answer can be parsed; an empty answer takes the suggestion."""
        assert self._ask is not None
        while True:
            answer = self._ask(question).strip()
            try:
                if answer:
                    return field.parse(answer, field.name)
                if isinstance(suggestion, str):
                    return field.parse(suggestion, field.name)
                return suggestion
            except InputError as error:
                expected = f"; expected {error.expected}" if error.expected else ""
                problem = f"{error.found}{expected}{f'; {error.do}' if error.do else ''}"
                question = Question(
                    question.text, question.suggestion, question.why, question.known, problem
                )


def _shown(value: Any) -> str:
    if value is None or value == []:
        return NONE
    return ", ".join(value) if isinstance(value, list) else label_text(value)


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-")


def or_none(read: AnswerParser, empty: Any = None) -> AnswerParser:
    """An answer that may also say that there is none."""
    return lambda text, field: empty if text == NONE else read(text, field)


def one_of(*known: str) -> AnswerParser:
    """One of some words."""

    def read(text: str, field: str) -> str:
        if text not in known:
            raise InputError(
                _flag(field), repr(text), "one of: " + ", ".join(known), nearest(text, known)
            )
        return text

    return read


def column(frame: pl.DataFrame) -> AnswerParser:
    """A column of a table."""

    def read(text: str, field: str) -> str:
        text = text if text in frame.columns else safe_name(text)
        if text not in frame.columns:
            known = "one of: " + ", ".join(frame.columns)
            raise InputError(
                _flag(field), f"no column {text!r}", known, nearest(text, frame.columns)
            )
        return text

    return read


def columns(frame: pl.DataFrame) -> AnswerParser:
    """Columns of a table, each once; one whose name has a comma stands alone."""

    def read(text: str, field: str) -> list[str]:
        names = [text] if text in frame.columns else listed(column(frame))(text, field)
        return list(dict.fromkeys(names))

    return read


def times(frame: pl.DataFrame) -> AnswerParser:
    """A column that rows can be ordered by: dates, or whole numbers, in every row; or several, from the year on."""

    def read(text: str, field: str) -> str | list[str]:
        if text not in frame.columns and "," in text:
            return [str(column(frame)(part.strip(), field)) for part in text.split(",")]
        name: str = column(frame)(text, field)
        found = frame[name]
        if not (found.dtype in (pl.Date, pl.Datetime) or found.dtype.is_integer()):
            raise InputError(
                _flag(field), f"{name!r} holds {found.dtype}", "dates or whole numbers"
            )
        if found.null_count():
            raise InputError(
                _flag(field),
                f"{name!r} is missing in {found.null_count()} rows",
                "a time in every row",
            )
        return name

    return read


def system_name(text: str, field: str) -> str:
    """What a system may be called."""
    if not _NAME.fullmatch(text) or len(text) > 64:
        raise InputError(
            _flag(field), repr(text), "up to 64 letters, digits, _ and -, the first a letter"
        )
    return text


def listed(read: AnswerParser) -> AnswerParser:
    """Several answers of a kind, separated by commas."""
    return lambda text, field: [read(one.strip(), field) for one in text.split(",")]


def number(text: str, field: str) -> float:
    """A number above 0."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise InputError(_flag(field), repr(text), "a number above 0")
    return int(value) if value.is_integer() else value


def duration(text: str, field: str) -> str:
    """A number and a unit of time."""
    plain = text.replace(" ", "")
    if not _DURATION.fullmatch(plain):
        raise InputError(
            _flag(field), repr(text), "a number and one of us, ms, s, min, h, d, w, such as 7d"
        )
    return plain


def costs(text: str, field: str) -> dict[str, Any]:
    """What a false alarm and a miss cost, as the branch `goal.decision`."""
    parts = text.split(":")
    if len(parts) != 2:
        raise InputError(_flag(field), repr(text), "two numbers, false alarm and miss, such as 1:5")
    return {
        "by": "cost",
        "false_positive": number(parts[0], field),
        "false_negative": number(parts[1], field),
    }
