"""The live rollouts of the systems in service, and the splits that are made of them.

    rollout/ads.json ──> read ──> versions of the arms are loaded ──> build_split ──> routes["ads"]

A routing file that is torn, or of another version of Headrace, changes nothing: units keep their
arms. An arm whose version cannot be loaded is answered for by the champion.
"""

from collections.abc import Callable
from typing import Any

from headrace.errors import WorkError
from headrace.rollout import Arm, Rollout, read_routing
from headrace.rollout.assign import SPACE
from headrace.serve.log_event import log_event
from headrace.serve.models.arms import (
    ArmCounts,
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


class LiveRollouts:
    """The rollout of each system as its routing file says, and which versions failed to load."""

    def __init__(self) -> None:
        self.current: dict[str, Rollout | None] = {}
        self.failed: set[tuple[str, int]] = set()
        self._signatures: dict[str, Any] = {}
        self._unreadable: set[str] = set()

    def read(self, system: ServedSystem) -> Rollout | None:
        """Read the live rollout of a system anew, if its file has changed."""
        name = system.spec.name
        path = system.workspace.routing(name)
        try:
            found = path.stat()
            signature: Any = (found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:
            signature = None
        if signature == self._signatures.get(name, ()):
            return self.current.get(name)
        self._signatures[name] = signature
        try:
            return read_routing(path)
        except WorkError as error:
            log_event("error", "rollout_unreadable", model=name, why=str(error))
            return self.current.get(name)

    def report_failed(self, name: str, version: int, error: Exception) -> None:
        """Remember and report a version that cannot be loaded."""
        self.failed.add((name, version))
        log_event("error", "arm_not_loaded", model=name, version=version, why=str(error)[:500])


def list_versions(rollout: Rollout | None) -> list[int]:
    """Return the versions that answer requests in a rollout, the champion's first."""
    if rollout is None or rollout.stage == "shadow":
        return []
    versions = [rollout.champion, *(arm.version for arm in rollout.phase.arms if arm.share > 0)]
    return list(dict.fromkeys(versions))


def mark_challengers(workspace: Workspace, rollout: Rollout | None) -> None:
    """Mark that this process takes the challengers of a rollout into service."""
    if rollout is None:
        return
    for version in list_versions(rollout):
        if version != rollout.champion:
            mark_taken(workspace, version)


def build_split(
    plain: ModelRoute,
    rollout: Rollout | None,
    find_served: Callable[[int], ServedModel | None],
    recorder: Recorder | None,
) -> Split | None:
    """Build the split of a system's route; None where every row simply gets the champion.

    Parameters: `plain`, the route to the champion; `find_served`, the model of a version that is
    ready. Outside of a rollout units are logged all the same: the next one is planned by them.
    """
    system = plain.served.system
    assert system is not None
    live = rollout is not None and rollout.stage != "shadow"
    if not live and system.unit is None:
        return None
    names = ("row", "unit", "answer")
    noted = build_route(plain.served, plain.arm, {"arm": plain.arm}, recorder, names)
    if rollout is None or not live:
        return _make_split(None, system.unit, b"", [SPACE], [noted], noted)

    unit = rollout.spec.unit
    champion = find_served(rollout.champion) or plain.served
    arms: dict[str, ModelRoute] = {}
    for number, arm in enumerate(rollout.phase.arms, 1):
        served = find_served(arm.version)
        arms[arm.name] = _build_arm(arm, number, served, champion, rollout, recorder)
    for arm in rollout.phase.arms:
        arms[arm.name].served.speed.limit = champion.speed
    stretches = rollout.phase.division
    return _make_split(
        rollout.phase.number,
        unit,
        rollout.phase.salt.encode(),
        [stretch.end for stretch in stretches],
        [arms[stretch.arm] for stretch in stretches],
        noted,
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
    number: int,
    served: ServedModel | None,
    champion: ServedModel,
    rollout: Rollout,
    recorder: Recorder | None,
) -> ModelRoute:
    """Build the route of an arm, and those to the champion for what it fails on."""
    judged = {} if arm.dropped else {"phase": rollout.phase.number, "propensity": arm.share}
    head = {"arm": arm.name, **judged}
    names = ("row", "unit", "answer")
    fallback = {}
    for kind in FAILURES:
        failed = {**head, "failed": kind}
        fallback[kind] = build_route(champion, arm.name, failed, recorder, names, number)
    route = build_route(served or champion, arm.name, head, recorder, names, number)
    if served is None:
        route = fallback["errors"]
    counts = None if arm.dropped else ArmCounts()
    return ModelRoute(
        served=route.served,
        arm=route.arm,
        headers=route.headers,
        opening=route.opening,
        buffer=route.buffer,
        number=number,
        counts=counts,
        is_absent=served is None,
        fallback={} if arm.version == champion.version else fallback,
    )
