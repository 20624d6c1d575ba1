"""The job that moves rollouts on: it reads the logs, judges, decides, and publishes.

journal ──> live rollout ──> Judge.read ──> Evidence ──> step ──> journal, routing file
                                               └──> rollout/NAME.status.json
"""

from contextlib import suppress

import msgspec
from msgspec import Struct, structs

from headrace.bundle import open_bundle
from headrace.clock import SYSTEM, Clock
from headrace.loop.crashes import find_crashed
from headrace.loop.judge import Judge
from headrace.loop.shadow import ShadowKeeper
from headrace.loop.status import Status, describe
from headrace.registry import (
    RolloutRecord,
    heal_rollout,
    make_plan,
    read_rollout,
    record_decision,
)
from headrace.rollout import Evidence, Rollout, step
from headrace.spec import System, Task
from headrace.tables import atomic_file


class Decided(Struct, frozen=True):
    """What a pass of the job has found: the status, and whether anything was decided."""

    status: Status
    moved: bool


class RolloutJob:
    """Moves the rollouts of one system on, a pass at a time."""

    def __init__(self, system: System, clock: Clock = SYSTEM) -> None:
        self._system = system
        self._clock = clock
        self._judge: Judge | None = None
        self._shadow = ShadowKeeper(system)

    def run(self) -> Decided:
        """Read, judge and decide once; write the status.

        Raises `HeadraceError` where a log is damaged or a disk refuses.
        """
        record = read_rollout(self._system)
        heal_rollout(self._system, record)
        now_us = self._clock.now_us()
        judge = self._follow(record.rollout)
        evidence = self._gather(record, judge, now_us)
        moved = self._decide(record, evidence, now_us)
        if moved:
            record = read_rollout(self._system)
            judge = self._follow(record.rollout)
            evidence = self._gather(record, judge, now_us)
        status = Status.of_nothing(self._system.name)
        if judge is not None:
            status = describe(judge, evidence, now_us)
        self._shadow.tick(record.rollout)
        if judge is not None and judge.bandit is not None:
            judge.bandit.publish(self._system.workspace, now_us)
        self._write(status)
        return Decided(status, moved)

    def _gather(self, record: RolloutRecord, judge: Judge | None, now_us: int) -> Evidence:
        """Gather what is known by now; without a live rollout, who waits for one."""
        champion = record.champion or 0
        if judge is None:
            return Evidence(champion=champion, waiting=record.waiting)
        evidence = judge.gather(champion, record.waiting, now_us)
        crashed = find_crashed(self._system.workspace, judge.rollout)
        return structs.replace(evidence, crashed=crashed)

    def look(self) -> Status:
        """Read and judge once; decide nothing, and write nothing."""
        record = read_rollout(self._system)
        judge = self._follow(record.rollout)
        if judge is None:
            return Status.of_nothing(self._system.name)
        now_us = self._clock.now_us()
        return describe(judge, self._gather(record, judge, now_us), now_us)

    def _follow(self, rollout: Rollout | None) -> Judge | None:
        """Return the judge of the live rollout, which has read all that was logged by now."""
        judge = self._judge
        if rollout is None:
            self._judge = None
            return None
        if judge is None or judge.rollout.since_us != rollout.since_us:
            judge = self._judge = Judge(
                self._system, rollout, find_task(self._system, rollout.champion), self._clock
            )
        judge.follow_rollout(rollout)
        judge.read()
        return judge

    def _decide(self, record: RolloutRecord, evidence: Evidence, now_us: int) -> bool:
        """Decide about a rollout, and record it; return whether anything was."""
        if record.champion is None or self._system.rollout is None:
            return False
        plan = make_plan(self._system, record)
        _, decision = step(plan, record.rollout, evidence, now_us)
        if decision is None:
            return False
        return record_decision(self._system, decision, record, now_us=now_us) is not None

    def _write(self, status: Status) -> None:
        """Write the status for the service and for `headrace status`, where it has changed."""
        content = msgspec.json.encode(status)
        path = self._system.workspace.rollout_status(self._system.name)
        current = None
        with suppress(OSError):
            current = path.read_bytes()
        if content != current:
            with atomic_file(path) as draft:
                draft.write_bytes(content)


def find_task(system: System, version: int) -> Task:
    """Return the task of a system, as the bundle of a version says it where the spec does not."""
    if system.goal.task is not None:
        return system.goal.task
    bundle = open_bundle(system.workspace.bundle(system.name, version))
    task = bundle.system.goal.task
    assert task is not None
    return task
