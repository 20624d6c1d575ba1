"""Public functions by which a person starts, steers and reads a rollout."""

from pathlib import Path

import msgspec
from msgspec import structs

from headrace import spec
from headrace.bundle import find_bundle, open_bundle
from headrace.clock import SYSTEM
from headrace.errors import DECODE_ERRORS, InputError, SpecError, WorkError
from headrace.loop.rollout import RolloutJob
from headrace.loop.status import Status
from headrace.registry import (
    Decision,
    RolloutRecord,
    make_plan,
    read_rollout,
    record_decision,
    sync_mlflow,
)
from headrace.rollout import RolloutDecision, start, steer
from headrace.spec import Stage, System
from headrace.tables import BusyError, exclusive_lock

_TRIES = 20


def start_rollout(
    model: str | None = None,
    folder: str | Path = ".",
    why: str = "",
    stage: Stage | None = None,
    aa: bool = False,
) -> Decision:
    """Start a rollout of a version against the champion.

    Parameters: `model`, such as `ads@4`; left out, the challenger that waits; `stage`, the one to
    begin in; `aa`, whether the champion is compared with itself. Raises `InputError` where there is
    nothing to compare, or a rollout is live.
    """
    system = _load(folder)
    for _ in range(_TRIES):
        record = read_rollout(system)
        if record.champion is None:
            found = f"{system.name} has no champion"
            raise InputError("rollout start", found, "one to compare with", "run it first")
        challenger = record.champion if aa else _find_challenger(system, model, record)
        plan = make_plan(system, record)
        versions = (record.champion, challenger)
        decision = start(plan, record.rollout, versions, SYSTEM.now_us(), stage)
        line = record_decision(system, _explain(decision, why), record, "person")
        if line is not None:
            sync_mlflow(system.workspace, system.name)
            return line
    raise WorkError("rollout start", "the registry changes all the time", "a moment of rest")


def steer_rollout(
    do: str,
    folder: str | Path = ".",
    why: str = "",
    shares: dict[str, float] | None = None,
    redraw: bool = False,
) -> Decision:
    """Steer the live rollout: `next`, `pause`, `resume`, `arms`, `stop` or `promote`.

    Parameters: `shares`, those of arms, for `arms`; what they leave is the champion's; `redraw`,
    whether all units are drawn anew. Raises `InputError` for what cannot be done now.
    """
    system = spec.load(folder)
    for _ in range(_TRIES):
        record = read_rollout(system)
        if record.rollout is None:
            _require_branch(system)
        decision = steer(record.rollout, do, SYSTEM.now_us(), shares, redraw)
        for arm in decision.after.phase.arms if decision.after else ():
            open_bundle(system.workspace.bundle(system.name, arm.version))
        line = record_decision(system, _explain(decision, why), record, "person")
        if line is not None:
            sync_mlflow(system.workspace, system.name)
            return line
    raise WorkError(f"rollout {do}", "the registry changes all the time", "a moment of rest")


def _load(folder: str | Path) -> System:
    system = spec.load(folder)
    _require_branch(system)
    return system


def _require_branch(system: System) -> None:
    if system.rollout is None:
        do = "add `rollout:` to system.yaml"
        raise SpecError("rollout", "the spec has no such branch", "one", do)


def _find_challenger(system: System, model: str | None, record: RolloutRecord) -> int:
    if model is None:
        if record.waiting is None:
            do = f"name one, such as {system.name}@4; --aa compares the champion with itself"
            raise InputError("rollout start", "no challenger waits", "a version", do)
        return record.waiting
    manifest = open_bundle(find_bundle(model, system.root)).manifest
    if manifest.name != system.name:
        raise InputError(model, f"a version of {manifest.name}", f"one of {system.name}")
    if manifest.version == record.champion:
        raise InputError(model, "it is the champion", "another version", "or give --aa")
    return manifest.version


def _explain(decision: RolloutDecision, why: str) -> RolloutDecision:
    text = f"{decision.why}: {why}" if why else decision.why
    return structs.replace(decision, why=text)


def status(folder: str | Path = ".") -> Status:
    """Return the status of a system's rollout, as its controller saw it last.

    Without a controller, the logs are read now. Raises `SpecError` for a bad spec.
    """
    system = spec.load(folder)
    try:
        with exclusive_lock(system.workspace.rollouts / "controller.lock", 0.0):
            return RolloutJob(system).look()
    except BusyError:
        path = system.workspace.rollout_status(system.name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Status)
        except FileNotFoundError:
            return Status.of_nothing(system.name)
        except (OSError, *DECODE_ERRORS) as error:
            raise WorkError(str(path), f"cannot be read ({error})", "a status") from None
