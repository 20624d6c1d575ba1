"""The fields of a bundle's `evaluation.json` that readers need; the file has more."""

from typing import Any

from msgspec import Struct


class Deciding(Struct, frozen=True):
    """The metric that decides."""

    name: str


class Candidate(Struct, frozen=True):
    """A candidate's value of the deciding metric; None where it is not defined."""

    value: float | None = None


class Evaluation(Struct, frozen=True):
    """The quality of a bundle's model when it was built.

    `metrics` are by split; `seconds` are those of the stages; `who` is the account that ran them.
    """

    metric: Deciding
    metrics: dict[str, dict[str, float | None]]
    threshold: float | None
    candidates: list[Candidate] = []
    gates: list[dict[str, Any]] = []
    seconds: dict[str, float] = {}
    who: str = ""
