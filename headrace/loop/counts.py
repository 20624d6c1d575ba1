"""What services counted of the arms of a rollout, added up by phase and by second."""

from collections import defaultdict

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats
from headrace.clock import US_PER_S

_STEPS = 1_000
_SETTLED_US = 2 * US_PER_S
"""A second is complete so long after its end: every process has recorded it."""


class ArmCounts(Struct):
    """What was counted of an arm; `calls` of its model, and those that were `slow`."""

    rows: int = 0
    errors: int = 0
    unread: int = 0
    imputed: int = 0
    calls: int = 0
    slow: int = 0

    def add(self, other: "ArmCounts") -> None:
        """Add further counts."""
        self.rows += other.rows
        self.errors += other.errors
        self.unread += other.unread
        self.imputed += other.imputed
        self.calls += other.calls
        self.slow += other.slow


class _Logged(Struct):
    """A record of the log of counts."""

    phase: int
    at_us: int
    arms: dict[str, ArmCounts]
    calls: dict[str, tuple[int, int]]
    unassigned: int = 0


_decode = msgspec.json.Decoder(_Logged).decode


class PhaseCounts:
    """The counts of one phase: in all, and by second as long as a second is not complete."""

    def __init__(self) -> None:
        self.arms: defaultdict[str, ArmCounts] = defaultdict(ArmCounts)
        self.unassigned = 0
        self._seconds: dict[int, dict[str, ArmCounts]] = {}
        self._differences: dict[tuple[str, str], defaultdict[int, int]] = {}

    def add(self, logged: _Logged) -> None:
        """Add a record."""
        self.unassigned += logged.unassigned
        second = self._seconds.setdefault(logged.at_us // US_PER_S, {})
        for arm, counts in logged.arms.items():
            counts.calls, counts.slow = logged.calls.get(arm, (0, 0))
            self.arms[arm].add(counts)
            second.setdefault(arm, ArmCounts()).add(counts)

    def settle(self, watermark_us: int, champion: str) -> None:
        """Turn seconds that are complete into differences of rates, challenger minus champion."""
        for second in sorted(self._seconds):
            if (second + 1) * US_PER_S + _SETTLED_US > watermark_us:
                return
            arms = self._seconds.pop(second)
            base = arms.pop(champion, None)
            for arm, counts in arms.items():
                if base is not None:
                    self._compare("slow", arm, counts.slow, counts.calls, base.slow, base.calls)
                    self._compare(
                        "imputed", arm, counts.imputed, counts.rows, base.imputed, base.rows
                    )

    # Two rates are four numbers; `guard` and `arm` say where their difference belongs.
    def _compare(
        self, guard: str, arm: str, own: int, of_own: int, base: int, of_base: int
    ) -> None:
        if of_own and of_base:
            difference = round((own / of_own - base / of_base) * _STEPS)
            counts = self._differences.setdefault((guard, arm), defaultdict(int))
            counts[difference] += 1

    def differences(self, guard: str, arm: str) -> tuple[Floats, Floats]:
        """Return the differences by second of a guard, and how many seconds had each."""
        counts = self._differences.get((guard, arm), defaultdict(int))
        keys = sorted(counts)
        return (
            np.array([key / _STEPS for key in keys]),
            np.array([counts[key] for key in keys], dtype=np.float64),
        )


class ServiceCounts:
    """The counts of all phases, as far as their log was read."""

    def __init__(self) -> None:
        self.phases: defaultdict[int, PhaseCounts] = defaultdict(PhaseCounts)

    def read(self, table: pl.DataFrame) -> None:
        """Read records of the log of counts."""
        for payload in table["payload"].to_list():
            logged = _decode(payload)
            self.phases[logged.phase].add(logged)
