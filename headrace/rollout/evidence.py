"""The evidence by which a rollout is decided, and what is decided: plain values."""

from typing import Any, Literal

from msgspec import Struct

from headrace.rollout.state import Rollout

MISMATCH_ALPHA = 0.001
"""A mismatch of shares is certain where a right division shows it more rarely, at any time."""
Action = Literal["start", "stage", "arms", "pause", "resume", "stop", "promote"]


class Interval(Struct, frozen=True):
    """A confidence sequence at one time; an end is None where nothing bounds it yet."""

    low: float | None
    point: float | None
    high: float | None


class MetricResult(Struct, frozen=True):
    """A metric at one time, of a challenger's arm beside the champion's.

    `value` and `champion` are the means of the arms. `shown` says whether the need of a goal, or
    the harmlessness of a guard, is certain; `harm`, whether it is certainly worse than allowed;
    `futile`, whether the effect that was asked for is ruled out.
    """

    metric: str
    role: str
    arm: str
    value: float | None
    champion: float | None
    effect: Interval
    lift: Interval
    units: int
    shown: bool = False
    harm: bool = False
    futile: bool = False


class GuardResult(Struct, frozen=True):
    """A guard at one time, of a challenger's arm beside the champion's: rates, and a judgement.

    The margin is exceeded for certain (`beyond`), kept for certain (`within`), or neither yet.
    """

    guard: str
    arm: str
    value: float | None
    champion: float | None
    margin: float
    judgement: Literal["beyond", "within", "open"]


class MismatchResult(Struct, frozen=True):
    """The shares of the arms among units, as expected and as found; `p` holds at all times."""

    expected: dict[str, float]
    found: dict[str, float]
    p: float


class Forecast(Struct, frozen=True):
    """When a verdict is expected: about `at_us`, and from when to when it is likely."""

    at_us: int
    from_us: int
    to_us: int


class Evidence(Struct, frozen=True):
    """All that is known about a rollout at one time.

    `champion` is the version that is live; `waiting` the newest challenger that has not had its
    rollout. `crashed` is an arm that ended workers. `scored` is how many rows the shadow scored.
    `lacking_units` says that requests bring no unit.
    """

    champion: int
    waiting: int | None = None
    metrics: list[MetricResult] = []
    guards: list[GuardResult] = []
    mismatch: MismatchResult | None = None
    crashed: str | None = None
    scored: int = 0
    lacking_units: bool = False
    forecast: Forecast | None = None


class Verdict(Struct, frozen=True):
    """What to do now, in one sentence; `from_us` and `to_us` say when the next one is expected."""

    action: Literal["ship", "wait", "stop", "pause"]
    say: str
    from_us: int | None = None
    to_us: int | None = None


class RolloutDecision(Struct, frozen=True):
    """A decision about a rollout: what, why, and the results that it follows from.

    `version` is the one that it is about, `after` the rollout from then on; None where it is over.
    """

    action: Action
    version: int
    why: str
    after: Rollout | None
    evidence: list[dict[str, Any]] = []
