"""Asks the questions of a design review, and settles the fields of the spec with the answers."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from headrace.design.commented import FieldValues
from headrace.design.parsers import NONE, AnswerParser, flag_name
from headrace.errors import InputError
from headrace.spec.labels import format_label


class Answers(Struct, frozen=True, kw_only=True):
    """Answers that are known before the interview, each as a person would type it.

    Several names are separated by commas; `-` says that there is none. A question without an answer
    goes to a person, where there is one to ask; else the data decides. Only the target must be
    stated then, unless `yes` takes what the data suggests for it too.
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
    trials: str | None = None
    seconds: str | None = None
    yes: bool = False


class Question(Struct, frozen=True):
    """A question to a person.

    `suggestion` is the answer that an empty one takes, and `why` its reason. `known` lists possible
    answers. `problem` says why the previous answer was refused.
    """

    text: str
    suggestion: str
    why: str
    known: list[str] = []
    problem: str = ""


Ask = Callable[[Question], str]
"""Asks a question and returns the answer; an empty answer takes the suggestion."""


class Field(Struct, frozen=True):
    """A field of the spec that a person may answer for.

    `name` is the field of `Answers`, `path` the field of the spec; `parse` turns an answer into its
    value. An `optional` field is written only where somebody answers. `unless` is the reason why
    the field does not apply; then nobody is asked. `known` lists possible answers.
    """

    name: str
    path: str
    parse: AnswerParser
    optional: bool = False
    unless: str = ""
    known: list[str] = []


class Review:
    """Settles one field after the other and collects their values.

    The first of these that is there decides:

        1. a flag           answers.target = "clicked"     reason: "as you said"
        2. a person         ask(question) -> "clicked"     reason: "as you said"
           who types Enter                                 reason: that of the suggestion
        3. the data         suggestion                     reason: that of the suggestion
    """

    def __init__(self, answers: Answers, ask: Ask | None) -> None:
        self.answers = answers
        self._ask = ask
        self.settled: FieldValues = {}

    def record(self, path: str, value: Any, why: str = "") -> None:
        """Record the value of a field without a question."""
        self.settled[tuple(path.split("."))] = value, why

    def settle(self, field: Field, text: str, suggestion: Any, why: str) -> Any:
        """Settle a field and return its value.

        Parameters: `text`, the question; `suggestion`, the value if nobody answers, and `why`.
        Raises `InputError` where a field that does not apply was answered.
        """
        given: str | None = getattr(self.answers, field.name)
        if given not in (None, NONE) and field.unless:
            raise InputError(flag_name(field.name), repr(given), f"nothing: {field.unless}")

        is_answered = True
        if given is not None:
            value = field.parse(given, field.name)
            why = "as you said"
        elif self._ask is not None and not field.unless:
            question = Question(text, _show(suggestion), why, field.known)
            value = self._put(self._ask, question, field, suggestion)
            why = why if value == suggestion else "as you said"
        else:
            value = suggestion
            is_answered = False

        if not field.optional or (is_answered and value not in (None, [])):
            self.record(field.path, value, why)
        return value

    def _put(self, ask: Ask, question: Question, field: Field, suggestion: Any) -> Any:
        """Ask until the answer can be parsed; an empty answer takes the suggestion."""
        while True:
            answer = ask(question).strip()
            try:
                if answer:
                    return field.parse(answer, field.name)
                # a suggested word is parsed too: a target may be one that cannot be predicted
                if isinstance(suggestion, str):
                    return field.parse(suggestion, field.name)
                return suggestion
            except InputError as error:
                problem = error.found
                if error.expected:
                    problem += f"; expected {error.expected}"
                if error.do:
                    problem += f"; {error.do}"
                question = Question(
                    question.text, question.suggestion, question.why, question.known, problem
                )


def _show(value: Any) -> str:
    if value is None or value == []:
        return NONE
    return ", ".join(value) if isinstance(value, list) else format_label(value)
