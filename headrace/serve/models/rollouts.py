"""The live rollouts of the systems in service, and the splits that are made of them.

    rollout/ads.json ──> read ──> versions of the arms are loaded ──> build_split ──> routes["ads"]

A routing file that is torn, or of another version of Headrace, changes nothing: units keep their
arms. An arm whose version cannot be loaded is answered for by the champion.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from headrace.errors import WorkError
from headrace.rollout import Arm, Rollout, Weights, read_routing, read_weights
from headrace.rollout.assign import SPACE, divide
from headrace.serve.log_event import log_event
from headrace.serve.models.arms import (
    ArmCounts,
    Chooser,
    ModelRoute,
    Split,
    build_route,
    make_unit_getter,
)
from headrace.serve.models.recorder import Recorder
from headrace.serve.models.served import ServedModel
from headrace.serve.models.system import ServedSystem
from headrace.serve.models.taken import mark_taken
from headrace.workspace import Workspace

FAILURES = ("errors", "unread")
"""The kinds of failure of an arm: it raised, or could not read a row."""
_NOTED = ("row", "unit", "answer")
_CHOSEN = ("row", "propensity", "context", "answer")
"""The names of the values of a record: a row on its own may be chosen by its context."""


class Live(NamedTuple):
    """A live rollout, and the shares that its policy has set, if it moves them."""

    rollout: Rollout | None = None
    weights: Weights | None = None


class LiveRollouts:
    """The rollout of each system as its files say, and which versions failed to load."""

    def __init__(self) -> None:
        self.current: dict[str, Live] = {}
        self.failed: set[tuple[str, int]] = set()
        self._signatures: dict[Path, Any] = {}

    def read(self, system: ServedSystem) -> Live:
        """Read the live rollout of a system anew, if its files have changed."""
        name = system.spec.name
        current = self.current.get(name, Live())
        rollout = current.rollout
        path = system.workspace.routing(name)
        if self._has_changed(path):
            try:
                # One that is over leaves its file: without it nothing is known.
                rollout = read_routing(path) if path.exists() else rollout
            except WorkError as error:
                log_event("error", "rollout_unreadable", model=name, why=str(error))
        if rollout is None or rollout.phase.policy == "split":
            return Live(rollout)
        weights = current.weights
        path = system.workspace.weights(name)
        if self._has_changed(path) or rollout != current.rollout:
            weights = read_weights(path, rollout.phase.number)
        return Live(rollout, weights)

    def _has_changed(self, path: Path) -> bool:
        """Say whether a file is another one than last time."""
        try:
            found = path.stat()
            signature: Any = (found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:
            signature = None
        changed: bool = signature != self._signatures.get(path, ())
        self._signatures[path] = signature
        return changed

    def report_failed(self, name: str, version: int, error: Exception) -> None:
        """Remember and report a version that cannot be loaded."""
        self.failed.add((name, version))
        log_event("error", "arm_not_loaded", model=name, version=version, why=str(error)[:500])


def list_versions(rollout: Rollout | None) -> list[int]:
    """Return the versions of a rollout, the champion's first.

    In the shadow stage the challenger answers nobody, and is ready for the next one.
    """
    if rollout is None:
        return []
    if rollout.stage == "shadow":
        return [rollout.champion, rollout.challenger]
    # A policy may give a share to an arm that begins without one.
    moves = rollout.phase.policy != "split"
    own = [arm.version for arm in rollout.phase.arms if arm.share > 0 or moves]
    versions = [rollout.champion, *own]
    return list(dict.fromkeys(versions))


def mark_challengers(workspace: Workspace, rollout: Rollout | None) -> None:
    """Mark that this process takes the challengers of a rollout into service."""
    if rollout is None or rollout.stage == "shadow":
        return
    for version in list_versions(rollout):
        if version != rollout.champion:
            mark_taken(workspace, version)


def build_split(
    plain: ModelRoute,
    live: Live,
    find_served: Callable[[int], ServedModel | None],
    recorder: Recorder | None,
) -> Split | None:
    """Build the split of a system's route; None where every row simply gets the champion.

    Parameters: `plain`, the route to the champion; `find_served`, the model of a version that is
    ready. Outside of a rollout units are logged all the same: the next one is planned by them.
    """
    system = plain.served.system
    assert system is not None
    rollout = live.rollout
    if rollout is not None and rollout.stage == "shadow":
        rollout = None
    if rollout is None and system.unit is None:
        return None
    noted = build_route(plain.served, plain.arm, {"arm": plain.arm}, recorder, _NOTED)
    if rollout is None:
        return _make_split(None, system.unit, b"", [SPACE], [noted], noted)

    phase = rollout.phase
    champion = find_served(rollout.champion) or plain.served
    chooser = _make_chooser(live)
    shares = {arm.name: arm.share for arm in phase.arms}
    if live.weights is not None:
        shares |= live.weights.shares
    arms: dict[str, ModelRoute] = {}
    for number, arm in enumerate(phase.arms, 1):
        head: dict[str, Any] = {"arm": arm.name}
        if not arm.dropped:
            head |= {"phase": phase.number}
            if chooser is None:
                head["propensity"] = shares[arm.name]
        names = _NOTED if chooser is None else _CHOSEN
        build = partial(build_route, arm=arm.name, recorder=recorder, names=names, number=number)
        arms[arm.name] = _build_arm(arm, find_served(arm.version), champion, head, build)
    for route in arms.values():
        route.served.speed.limit = champion.speed

    division = phase.division if live.weights is None else divide(shares)
    split = _make_split(
        phase.number,
        rollout.spec.unit,
        phase.salt.encode(),
        [stretch.end for stretch in division],
        [arms[stretch.arm] for stretch in division],
        noted,
    )
    if chooser is not None:
        split.chooser = chooser
        split.arms = list(arms.values())
    return split


def _make_chooser(live: Live) -> Chooser | None:
    """Make what chooses arms by context, once its policy has published a state."""
    rollout, weights = live.rollout, live.weights
    if rollout is None or rollout.phase.policy != "linucb" or rollout.spec.stages.test is None:
        return None
    from headrace.rollout.policies.linucb import LinUcb, LinUcbChooser

    test = rollout.spec.stages.test
    width = len(test.context)
    state = None if weights is None else weights.state
    return LinUcbChooser(
        test.context, state or LinUcb().start(len(rollout.phase.arms), width), test.floor
    )


def _make_split(
    phase: int | None,
    unit: str | None,
    salt: bytes,
    ends: list[int],
    arms: list[ModelRoute],
    plain: ModelRoute,
) -> Split:
    row_type = plain.served.predictor.row_type
    return Split(
        phase=phase,
        unit=unit,
        salt=salt,
        ends=ends,
        arms=arms,
        plain=plain,
        counts={arm.arm: arm.counts for arm in arms if arm.counts is not None},
        get_unit=None if row_type is None else make_unit_getter(row_type, unit),
    )


def _build_arm(
    arm: Arm,
    served: ServedModel | None,
    champion: ServedModel,
    head: dict[str, Any],
    build: Callable[..., ModelRoute],
) -> ModelRoute:
    """Build the route of an arm, and those to the champion for what it fails on."""
    fallback = {kind: build(champion, head={**head, "failed": kind}) for kind in FAILURES}
    route = fallback["errors"] if served is None else build(served, head=head)
    return structs.replace(
        route,
        counts=None if arm.dropped else ArmCounts(),
        is_absent=served is None,
        fallback={} if arm.version == champion.version else fallback,
    )
