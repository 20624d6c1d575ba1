"""What is being done, for whoever waits, and how long it took."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace.clock import SYSTEM, Clock

Watch = Callable[[str, str], None]
"""Hears the stage that begins and, within it, what is being tried."""


def quiet(stage: str, detail: str) -> None:
    """The watch that nobody looks at."""


class Steps:
    """Tells the watch which stage begins, and keeps the seconds of each.

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
        """Runs one stage for the length of the block; two blocks of one name add up."""
        self._stage = stage
        self._watch(stage, "")
        begin = self._clock.monotonic_s()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + self._clock.monotonic_s() - begin

    def detail(self, text: str) -> None:
        """Says what the running stage is at."""
        self._watch(self._stage, text)
