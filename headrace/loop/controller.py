"""The controller: one process a workspace, which runs a plain list of jobs.

    service ──> keeps it alive: it holds `rollout/service.lock` for that
                   │ starts
                   v
    controller ──> holds `rollout/controller.lock`, which dies with it; runs each job `every_s`

What the jobs remember is a cache: a controller that was killed is replaced, and goes on.
"""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec import Struct

from headrace import spec
from headrace.clock import SYSTEM
from headrace.errors import HeadraceError
from headrace.loop.rollout import RolloutJob
from headrace.registry import read_rollout, sync_mlflow
from headrace.spec import System
from headrace.tables import exclusive_lock

_TICK_S = 0.1
_IDLE_S = 5.0
"""A controller that a service started ends so long after the last rollout."""


class Job(Struct, frozen=True):
    """A job of the controller: its name, how often it runs, the function, and its first run."""

    name: str
    every_s: float
    run: Callable[[], object]
    after_s: float = 0.0


def list_jobs(system: System) -> list[Job]:
    """Return the jobs of a system."""
    return [
        Job("rollout", 1.0, RolloutJob(system).run),
        Job("mlflow", 30.0, partial(sync_mlflow, system.workspace, system.name), 10.0),
    ]


def run_controller(folder: Path, report: Callable[[str], None], of_service: bool = False) -> None:
    """Run the jobs of a system until a signal ends the process.

    Parameters: `report` takes a line about what failed; `of_service`, whether a service has started
    it: then it ends with the service, and when no rollout is live.

    Raises `BusyError` where another controller is at work, and `SpecError` for a bad spec.
    """
    system = spec.load(folder)
    with exclusive_lock(system.workspace.rollouts / "controller.lock", 0.0):
        jobs = list_jobs(system)
        begun_s = SYSTEM.monotonic_s()
        due_s = {job.name: begun_s + job.after_s for job in jobs}
        reported: dict[str, str] = {}
        busy_s = SYSTEM.monotonic_s()
        while True:
            for job in jobs:
                if SYSTEM.monotonic_s() >= due_s[job.name]:
                    _run(job, report, reported)
                    due_s[job.name] = SYSTEM.monotonic_s() + job.every_s
            if of_service:
                if not _is_locked(system.workspace.rollouts / "service.lock"):
                    return
                if _has_work(system):
                    busy_s = SYSTEM.monotonic_s()
                if SYSTEM.monotonic_s() - busy_s > _IDLE_S:
                    return
            time.sleep(_TICK_S)


def _run(job: Job, report: Callable[[str], None], reported: dict[str, str]) -> None:
    """Run a job; an error that repeats is reported once, and the next run tries again."""
    try:
        job.run()
        reported.pop(job.name, None)
    except Exception as error:
        why = str(error) if isinstance(error, HeadraceError) else f"{type(error).__name__}: {error}"
        if reported.get(job.name) != why:
            report(f"{job.name}: {why}")
        reported[job.name] = why


def _has_work(system: System) -> bool:
    """Say whether a rollout is live, or a challenger waits for one."""
    with suppress(HeadraceError):
        record = read_rollout(system)
        return record.rollout is not None or record.waiting is not None
    return True


def _is_locked(path: Path) -> bool:
    """Say whether another process holds a lock."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
