"""The branch `rollout`: how a version whose gates pass proves itself on live traffic."""

import math
import re
from typing import Annotated, Literal, get_args

from msgspec import Meta, field

from headrace.errors import SpecError, nearest
from headrace.spec.duration import parse_duration_us
from headrace.spec.node import Duration, Name, Node, Positive, about

Stage = Literal["shadow", "canary", "test"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Policy = Literal["split", "thompson", "epsilon", "linucb"]
Guardrail = Literal["errors", "slow", "unread", "imputed"]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Open = Annotated[float, Meta(gt=0.0, lt=1.0)]

LOSS = "loss"
"""The `of` of a metric that compares the prediction itself with its outcome."""
_SUM_TOLERANCE = 1e-9


def check_shares(shares: dict[str, float], where: str) -> None:
    """Raise `SpecError` unless shares divide the whole among arms with valid names.

    >>> check_shares({"champion": 0.5, "challenger": 0.4}, "arms")
    Traceback (most recent call last):
    headrace.errors.SpecError: arms: shares that sum to 0.9; expected shares that sum to 1
    """
    for name, share in shares.items():
        if not (share >= 0 and math.isfinite(share)):
            raise SpecError(f"{where}.{name}", f"{share:g}", "a share from 0 to 1")
        if name not in ("champion", "challenger") and not _is_version(name):
            known = ["champion", "challenger"]
            do = nearest(name, known)
            raise SpecError(where, f"no arm {name!r}", "champion, challenger or NAME@VERSION", do)
    total = math.fsum(shares.values())
    if abs(total - 1) > _SUM_TOLERANCE:
        raise SpecError(where, f"shares that sum to {total:g}", "shares that sum to 1")


def _is_version(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*@[1-9][0-9]{0,8}", name) is not None


class ShadowSpec(Node, frozen=True):
    """The stage in which the challenger scores what was logged, and answers nobody."""

    share: Annotated[
        float, Meta(gt=0.0, le=1.0), about("The share of the logged rows that are scored.", 0.1)
    ] = 1.0
    least: Annotated[Duration, about("How long the stage lasts at least.", "6h")] = "1h"


class CanarySpec(Node, frozen=True):
    """The stage in which a few units get the challenger, while guards watch over them."""

    shares: Annotated[
        list[Annotated[float, Meta(gt=0.0, lt=1.0)]],
        Meta(min_length=1),
        about("The share of the challenger in each step; no step takes any back.", [0.02, 0.1]),
    ] = field(default_factory=lambda: [0.01, 0.05, 0.2])
    least: Annotated[Duration, about("How long each step lasts at least.", "10min")] = "30min"

    def __post_init__(self) -> None:
        """Refuse shares that fall: a unit would get the champion back, and know both."""
        if any(later <= share for share, later in zip(self.shares, self.shares[1:], strict=False)):
            found = f"the shares {self.shares} do not rise"
            expected = "a larger share in every step"
            raise SpecError("rollout.stages.canary.shares", found, expected)


class ExperimentSpec(Node, frozen=True):
    """The stage that compares the arms until it can say which is better."""

    policy: Annotated[
        Policy,
        about(
            "What divides the traffic: fixed shares (`split`), or shares that follow what each "
            "arm has earned (`thompson`, `epsilon`, and `linucb` by the columns in `context`).",
            "thompson",
        ),
    ] = "split"
    arms: Annotated[
        dict[str, Share],
        about(
            "The share of each arm: `champion`, `challenger`, or another version as NAME@VERSION.",
            {"champion": 0.9, "challenger": 0.1},
        ),
    ] = field(default_factory=lambda: {"champion": 0.5, "challenger": 0.5})
    least: Annotated[Duration, about("How long the test lasts at least.", "14d")] = "7d"
    most: Annotated[Duration, about("How long the test lasts at most.", "56d")] = "28d"
    floor: Annotated[
        Share, about("The least share of each arm of a policy that moves them.", 0.02)
    ] = 0.0
    every: Annotated[
        Duration, about("How often a policy that moves the shares publishes new ones.", "1min")
    ] = "10s"
    explore: Annotated[Open, about("The share that `epsilon` spreads over all arms.", 0.05)] = 0.1
    context: Annotated[
        list[str], about("The columns of numbers that `linucb` learns by.", ["hour", "age"])
    ] = []

    def __post_init__(self) -> None:
        """Refuse shares that are no division of the whole, and settings of another policy."""
        where = "rollout.stages.test"
        check_shares(self.arms, f"{where}.arms")
        for arm in ("champion", "challenger"):
            if arm not in self.arms:
                found = f"no share of the {arm}"
                raise SpecError(f"{where}.arms", found, "shares of champion and challenger")
        if parse_duration_us(self.most) < parse_duration_us(self.least):
            found = f"{self.most}, shorter than `least` ({self.least})"
            raise SpecError(f"{where}.most", found, "the longer of the two")
        if self.floor * len(self.arms) > 1:
            found = f"{self.floor:g} for each of {len(self.arms)} arms"
            raise SpecError(f"{where}.floor", found, f"at most {1 / len(self.arms):.4g}")
        if (self.policy == "linucb") != bool(self.context):
            found = "no columns" if self.policy == "linucb" else f"columns for {self.policy}"
            raise SpecError(f"{where}.context", found, "columns with `policy: linucb`, and only so")


class StagesSpec(Node, frozen=True):
    """The stages of a rollout, in this order; one that is left out is skipped."""

    shadow: Annotated[ShadowSpec | None, about("Score what was logged; answer nobody.")] = None
    canary: Annotated[CanarySpec | None, about("Answer a few units, under guards.")] = None
    test: Annotated[ExperimentSpec | None, about("Compare the arms until one is better.")] = None

    def __post_init__(self) -> None:
        """Refuse a rollout without a stage: it would promote what nobody has looked at."""
        if self.shadow is None and self.canary is None and self.test is None:
            expected = f"at least one of: {', '.join(STAGES)}"
            raise SpecError("rollout.stages", "no stage", expected)

    @property
    def names(self) -> list[Stage]:
        """The stages that are not left out, in their order."""
        return [stage for stage in STAGES if getattr(self, stage) is not None]


class RolloutMetric(Node, frozen=True):
    """A number for each unit, by which arms are compared."""

    name: Annotated[Name, about("The name of the metric.", "clicks")]
    of: Annotated[
        str,
        about(
            "The outcome that it counts, by its name in `/feedback`; `loss` compares the "
            "prediction itself with the outcome.",
            "clicked",
        ),
    ]
    value: Annotated[
        Literal["any", "sum", "mean"],
        about("How the outcomes of a unit become one value: 1 for any above 0, sum, or mean."),
    ] = "any"
    per: Annotated[
        Duration | None,
        about(
            "How long a unit collects outcomes, from its first prediction in a phase; if left "
            "out, that prediction alone counts.",
            "1d",
        ),
    ] = None
    range: Annotated[
        tuple[float, float],
        about("The least and the greatest value of a unit; values beyond are clipped.", [0, 50]),
    ] = (0.0, 1.0)
    want: Annotated[
        Literal["more", "less"], about("Which values are better; of a loss, always less.")
    ] = "more"
    role: Annotated[
        Literal["goal", "guard", "watch"],
        about(
            "A `goal` must show its `need`; a `guard` must be shown to be no worse by more than "
            "its `margin`; `watch` is shown alone."
        ),
    ] = "goal"
    need: Annotated[
        Literal["better", "not_worse"], about("What a goal must show before it ships.")
    ] = "better"
    effect: Annotated[
        Positive,
        about("The effect that the test is planned for, as a share of the champion's mean.", 0.1),
    ] = 0.05
    margin: Annotated[
        Positive, about("The loss that is allowed, as a share of the champion's mean.", 0.02)
    ] = 0.01

    def __post_init__(self) -> None:
        """Refuse a range without a width."""
        low, high = self.range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            found = f"from {low:g} to {high:g}"
            expected = "two finite numbers, the lower one first"
            raise SpecError(f"rollout.metrics.{self.name}.range", found, expected)

    @property
    def wants_less(self) -> bool:
        """Whether lower values are better."""
        return self.want == "less" or self.of == LOSS

    @property
    def is_relative(self) -> bool:
        """Whether `effect` and `margin` are shares of the champion's mean, which is positive."""
        return self.range[0] >= 0.0

    @property
    def tolerance(self) -> float:
        """How much worse the metric may be: nothing for a goal that must be better."""
        return 0.0 if self.role == "goal" and self.need == "better" else self.margin

    @property
    def span_us(self) -> int:
        """How long a unit collects outcomes, in microseconds."""
        return 0 if self.per is None else parse_duration_us(self.per)


def _default_metrics() -> list[RolloutMetric]:
    return [
        RolloutMetric(name=LOSS, of=LOSS, value="mean", role="goal", need="not_worse", margin=0.01)
    ]


class SegmentSpec(Node, frozen=True):
    """Rows that another served system answers."""

    where: Annotated[
        str, about("A condition on the columns of a row, as in a window.", "country == 'DE'")
    ]
    model: Annotated[Name, about("The system that answers these rows.", "ads_de")]


class RolloutSpec(Node, frozen=True):
    """How a version whose gates pass proves itself on live traffic before it is champion."""

    unit: Annotated[
        str | None,
        about(
            "What keeps its arm: a column of the rows, or the header `x-headrace-unit`, which "
            "counts where both are there. Without it, each row is drawn on its own.",
            "user_id",
        ),
    ] = None
    stages: Annotated[
        StagesSpec,
        about("The stages of a rollout; if left out, all three with their defaults."),
    ] = StagesSpec(shadow=ShadowSpec(), canary=CanarySpec(), test=ExperimentSpec())
    metrics: Annotated[
        list[RolloutMetric],
        Meta(min_length=1),
        about("The numbers that compare the arms; if left out, the loss, not worse by 1 %."),
    ] = field(default_factory=_default_metrics)
    guards: Annotated[
        dict[Guardrail, Open],
        about(
            "The margins by which the challenger's rates may exceed the champion's: rows that "
            "fail (`errors`) or cannot be read (`unread`), slow seconds (`slow`), and rows with "
            "imputed columns (`imputed`).",
            {"errors": 0.001},
        ),
    ] = field(
        default_factory=lambda: {"errors": 0.001, "slow": 0.01, "unread": 0.001, "imputed": 0.05}
    )
    within: Annotated[
        Duration | None,
        about(
            "How long after its prediction an outcome counts; `goal.label_delay` if left out.",
            "1h",
        ),
    ] = None
    absent: Annotated[
        Annotated[int, Meta(ge=0, le=0)] | None,
        about(
            "What a missing outcome means: 0, or null, and the row does not count. The loss of a "
            "prediction without an outcome counts only for a binary target."
        ),
    ] = 0
    covariate: Annotated[
        Literal["history", "score", "none"],
        about(
            "What forecasts the value of a unit, to make intervals narrower: its own past, or "
            "the champion's score of its first row."
        ),
    ] = "history"
    alpha: Annotated[Open, about("The rate of false verdicts that is allowed.", 0.01)] = 0.05
    power: Annotated[
        Open, about("The probability with which the planned effect is to be found.", 0.9)
    ] = 0.8
    decide: Annotated[
        Literal["promote", "ask"],
        about("Promote what has proven itself, or leave the last word to a person.", "ask"),
    ] = "promote"
    segments: Annotated[
        list[SegmentSpec], about("Rows that go to another served system, by rule.")
    ] = []

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        names = [metric.name for metric in self.metrics]
        for name in names:
            if names.count(name) > 1:
                raise SpecError("rollout.metrics", f"two are called {name!r}", "different names")
        test = self.stages.test
        if test is not None and test.policy != "split" and self.unit is not None:
            raise SpecError(
                "rollout.stages.test.policy",
                f"{test.policy} with `unit: {self.unit}`",
                "`unit: null`",
                "a policy moves shares while units keep their arms: it would learn nothing",
            )

    @property
    def goals(self) -> list[RolloutMetric]:
        """The metrics that must be shown before a version ships: goals and guards."""
        return [metric for metric in self.metrics if metric.role != "watch"]
