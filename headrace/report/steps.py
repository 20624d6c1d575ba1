"""What is being done, for whoever waits, and how long it took."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from headrace.clock import SYSTEM

P = ParamSpec("P")
T = TypeVar("T")
Watch = Callable[[str, str], None]
"""Hears the stage that begins and, within it, what is being tried."""


def quiet(stage: str, detail: str) -> None:
    """The watch that nobody looks at."""


class Steps:
    """Calls one function after the other, tells the watch, and keeps the seconds of each stage.

    >>> step = Steps(quiet)
    >>> step("add", sum, [1, 2])
    3
    >>> list(step.seconds)
    ['add']
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._stage = ""
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs one stage; two calls under one name add up."""
        self._stage = stage
        self._watch(stage, "")
        begin = SYSTEM.monotonic_s()
        try:
            return function(*args, **kwargs)
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + SYSTEM.monotonic_s() - begin

    def detail(self, text: str) -> None:
        """Says what the running stage is at."""
        self._watch(self._stage, text)
