"""What the controller of a rollout wrote last, as metrics: by the process that keeps it alive."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import DECODE_ERRORS
from headrace.serve.metrics.metrics import Labels, Metrics

_PREFIX = "headrace_rollout_"
_ENDS = ("low", "point", "high")
_SHADOW = ("scored", "unread", "errors", "stale")


class _Arm(Struct):
    arm: str
    version: int
    share: float


class _Metric(Struct):
    metric: str
    arm: str
    effect: tuple[float | None, float | None, float | None]


class _Status(Struct):
    """The parts of a status that are exported."""

    name: str
    stage: str | None
    arms: list[_Arm] = []
    metrics: list[_Metric] = []
    mismatch: dict[str, Any] | None = None
    counts: dict[str, int] = {}
    shadow: dict[str, Any] | None = None


class RolloutMetrics:
    """Turns the status of one system into gauges and counts."""

    def __init__(self, path: Path, metrics: Metrics) -> None:
        self._path = path
        self._metrics = metrics
        self._counted: dict[Labels, float] = {}

    def update(self) -> None:
        """Read the status, and set the gauges; a status that cannot be read changes nothing."""
        try:
            status = msgspec.json.decode(self._path.read_bytes(), type=_Status)
        except (OSError, *DECODE_ERRORS):
            return
        gauges = {
            key: value
            for key, value in self._metrics.gauges.items()
            if not (key[0].startswith(_PREFIX) and key[1] == status.name)
        }
        self._metrics.gauges = gauges | _list_gauges(status)
        for kind, name in (("late", "late"), ("orphan", "orphan"), ("clipped", "clipped")):
            self._count(("headrace_outcomes", status.name, kind), status.counts.get(name, 0))
        if status.shadow is not None:
            for outcome in _SHADOW:
                key = ("headrace_shadow_rows", status.name, outcome)
                self._count(key, status.shadow.get(outcome, 0))

    def _count(self, key: Labels, total: float) -> None:
        """Count what a total has grown by; what was there at first was counted by another one."""
        before = self._counted.get(key, total)
        self._counted[key] = total
        self._metrics.counts[key] += max(total - before, 0)


def _list_gauges(status: _Status) -> dict[Labels, float]:
    """List the gauges of a status; an end of an interval that nothing bounds has none."""
    gauges: dict[Labels, float] = {}
    if status.stage is not None:
        gauges[f"{_PREFIX}stage", status.name, status.stage] = 1
    for arm in status.arms:
        gauges[f"{_PREFIX}share", status.name, arm.arm, str(arm.version)] = arm.share
    for metric in status.metrics:
        for end, value in zip(_ENDS, metric.effect, strict=True):
            if value is not None:
                gauges[f"{_PREFIX}effect", status.name, metric.metric, metric.arm, end] = value
    if status.mismatch is not None:
        gauges[f"{_PREFIX}mismatch", status.name] = status.mismatch["p"]
    return gauges
