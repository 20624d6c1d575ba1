"""The state of a rollout: versions, stage, phase and arms. It is a value; a journal holds it."""

from typing import Literal

from msgspec import Struct, structs

from headrace.errors import SpecError
from headrace.rollout.assign import Division, divide
from headrace.spec import STAGES, Policy, RolloutSpec, Stage

CHAMPION = "champion"
CHALLENGER = "challenger"


class Arm(Struct, frozen=True):
    """An arm of a phase: who answers its units.

    An arm that was `dropped` keeps its units, whom the champion answers; they are not judged.
    """

    name: str
    version: int
    share: float
    dropped: bool = False


class Phase(Struct, frozen=True):
    """A stretch of time with fixed arms, versions and shares; figures of two are never pooled.

    `number` is unique among all rollouts of a system. `step` counts the canary's shares. `expected`
    holds the mean of each metric in earlier phases, from which forecasts begin.
    """

    number: int
    stage: Stage
    since_us: int
    arms: tuple[Arm, ...]
    salt: str = ""
    division: Division = ()
    policy: Policy = "split"
    step: int = 0
    expected: dict[str, float] = {}

    @property
    def challengers(self) -> list[Arm]:
        """The arms that are compared with the champion."""
        return [arm for arm in self.arms if arm.name != CHAMPION and not arm.dropped]

    def arm(self, name: str) -> Arm:
        """Return the arm of a name."""
        return next(arm for arm in self.arms if arm.name == name)


class Plan(Struct, frozen=True):
    """What a rollout of a system begins with.

    `within_us` is how long after its prediction an outcome counts; `last_phase` is the number of
    the last phase of any rollout before.
    """

    name: str
    spec: RolloutSpec
    within_us: int = 0
    last_phase: int = 0


class Rollout(Struct, frozen=True):
    """A rollout: the champion that it began with, the challenger, and the phase that it is in.

    It goes by the `spec` with which it began. While it is `paused`, which says why, arms stay and
    nothing is decided but a stop. With `aa` the champion is compared with itself. `earlier` are the
    phases before this one.
    """

    name: str
    champion: int
    challenger: int
    since_us: int
    spec: RolloutSpec
    within_us: int
    phase: Phase
    paused: str | None = None
    aa: bool = False
    earlier: tuple[Phase, ...] = ()

    @property
    def stage(self) -> Stage:
        """The stage of the current phase."""
        return self.phase.stage

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All phases, the current one last."""
        return (*self.earlier, self.phase)

    @property
    def alias(self) -> Literal["shadow", "challenger"]:
        """The alias of the challenger in this stage."""
        return "shadow" if self.stage == "shadow" else "challenger"


def begin(
    plan: Plan, versions: tuple[int, int], now_us: int, stage: Stage | None = None
) -> Rollout:
    """Begin a rollout in the first stage of the spec, or in a stated one.

    Parameters: `versions`, those of champion and challenger. Raises `SpecError` for a stage that
    the spec leaves out.
    """
    champion, challenger = versions
    first = stage or plan.spec.stages.names[0]
    if first not in plan.spec.stages.names:
        expected = f"one of: {', '.join(plan.spec.stages.names)}"
        raise SpecError("rollout.stages", f"no stage {first}", expected)
    rollout = Rollout(
        name=plan.name,
        champion=champion,
        challenger=challenger,
        since_us=now_us,
        spec=plan.spec,
        within_us=plan.within_us,
        phase=Phase(plan.last_phase + 1, first, now_us, ()),
        aa=champion == challenger,
    )
    return structs.replace(rollout, phase=_make_phase(rollout, plan.last_phase + 1, now_us))


def advance(rollout: Rollout, now_us: int) -> Rollout | None:
    """Return a rollout in its next step or stage; None behind the last one."""
    phase = rollout.phase
    stages = rollout.spec.stages
    canary = stages.canary
    following, step = phase.stage, phase.step + 1
    if phase.stage != "canary" or canary is None or step >= len(canary.shares):
        later = [stage for stage in stages.names if STAGES.index(stage) > STAGES.index(phase.stage)]
        if not later:
            return None
        following, step = later[0], 0
    moved = structs.replace(rollout, phase=structs.replace(phase, stage=following, step=step))
    return _enter(rollout, _make_phase(moved, phase.number + 1, now_us))


def change_shares(
    rollout: Rollout, shares: dict[str, float], now_us: int, redraw: bool = False
) -> Rollout:
    """Return a rollout whose phase ends, and whose next one has other shares.

    The fewest possible units move, or all are drawn anew by another salt.
    """
    phase = rollout.phase
    salt = _salt(rollout, phase.number + 1) if redraw else phase.salt
    arms = [structs.replace(arm, share=shares.get(arm.name, 0.0)) for arm in phase.arms]
    known = {arm.name for arm in arms}
    for name, share in shares.items():
        if name not in known:
            arms.append(Arm(name, _find_version(rollout, name), share))
    following = structs.replace(
        phase,
        number=phase.number + 1,
        since_us=now_us,
        arms=tuple(arms),
        salt=salt,
        division=divide(shares, () if redraw else phase.division),
    )
    return _enter(rollout, following)


def redraw(rollout: Rollout, now_us: int) -> Rollout:
    """Return a rollout whose units are drawn anew, by another salt, with the same shares."""
    shares = {arm.name: arm.share for arm in rollout.phase.arms}
    return change_shares(rollout, shares, now_us, redraw=True)


def drop_arm(rollout: Rollout, name: str) -> Rollout:
    """Return a rollout in which the champion answers the units of an arm, unjudged."""
    arms = tuple(
        structs.replace(arm, dropped=True, version=rollout.champion) if arm.name == name else arm
        for arm in rollout.phase.arms
    )
    return structs.replace(rollout, phase=structs.replace(rollout.phase, arms=arms))


def _enter(rollout: Rollout, phase: Phase) -> Rollout:
    return structs.replace(rollout, phase=phase, earlier=rollout.phases, paused=None)


def _make_phase(rollout: Rollout, number: int, now_us: int) -> Phase:
    """Make the phase of the stage and step that a rollout is to enter."""
    stages = rollout.spec.stages
    stage = rollout.stage
    shares: dict[str, float] = {CHAMPION: 1.0}
    salt = _salt(rollout, number)
    before: Division = ()
    step = rollout.phase.step
    if stage == "canary":
        assert stages.canary is not None
        share = stages.canary.shares[step]
        shares = {CHAMPION: 1.0 - share, CHALLENGER: share}
        if step:
            # The canary's shares are nested: one salt, and no unit gets the champion back.
            salt, before = rollout.phase.salt, rollout.phase.division
    elif stage == "test":
        assert stages.test is not None
        shares = stages.test.arms
    return Phase(
        number=number,
        stage=stage,
        since_us=now_us,
        arms=tuple(Arm(arm, _find_version(rollout, arm), share) for arm, share in shares.items()),
        salt=salt,
        division=divide(shares, before),
        policy=stages.test.policy if stage == "test" and stages.test else "split",
        step=step,
    )


def _find_version(rollout: Rollout, arm: str) -> int:
    if arm == CHAMPION:
        return rollout.champion
    if arm == CHALLENGER:
        return rollout.challenger
    return int(arm.partition("@")[2])


def _salt(rollout: Rollout, number: int) -> str:
    """Return a salt that no other phase has, of this rollout or of another one."""
    return f"{rollout.name}/{rollout.challenger}/{rollout.since_us}/{number}"
