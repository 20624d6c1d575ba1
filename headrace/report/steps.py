"""Reports the progress of long work by stages, and measures how long each stage takes."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace.clock import SYSTEM, Clock

Watch = Callable[[str, str], None]
"""Receives the stage that is running, and a detail about it (empty when the stage begins)."""

_LINE = 79
"""A line of this width fits a terminal, and is wide enough to overwrite the one before it."""


def quiet(stage: str, detail: str) -> None:
    """Ignore the progress."""


def show_line(stage: str, detail: str) -> None:
    """Show the progress in one line on stderr, in a notebook or at a terminal; else be quiet."""
    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        text = f"{stage} {detail}".strip()
        print(f"\r{text:<{_LINE}.{_LINE}}\r", end="", file=sys.stderr, flush=True)


class Steps:
    """Reports each stage to a watch, and measures the stages' seconds.

    >>> step = Steps(quiet)
    >>> with step("add"):
    ...     total = sum([1, 2])
    >>> list(step.seconds)
    ['add']
    """

    def __init__(self, watch: Watch, clock: Clock = SYSTEM) -> None:
        self._watch = watch
        self._clock = clock
        self._stage = ""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Run the block as a stage; the seconds of two blocks of one name add up."""
        self._stage = stage
        self._watch(stage, "")
        begin = self._clock.monotonic_s()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + self._clock.monotonic_s() - begin

    def detail(self, text: str) -> None:
        """Report a detail of the running stage."""
        self._watch(self._stage, text)
