"""Keeps the controller of a workspace alive while a rollout is live, as the sealer of a log is.

    each process of each service ──> tries to hold `rollout/service.lock`
    the one that has it          ──> starts the controller, again when it has ended

The service imports none of what the controller does: it is a process of its own, which gives way to
requests, and ends when nobody holds the lock any more.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import suppress

from headrace.clock import SYSTEM
from headrace.serve.log_event import log_event
from headrace.serve.models.system import ServedSystem

_LEAST_PAUSE_S = 1.0
_NICE = "5"


class ControllerKeeper:
    """Keeps the controller of one system alive; `tick` is called again and again."""

    def __init__(self, system: ServedSystem) -> None:
        self._system = system
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0

    def tick(self, needed: bool) -> None:
        """Start the controller if it is needed, nobody else keeps one, and none runs."""
        if not needed or not self._acquire():
            return
        process = self._process
        now_s = SYSTEM.monotonic_s()
        if process is not None and process.poll() is None:
            return
        if process is not None and now_s - self._started_s < _LEAST_PAUSE_S:
            return
        folder = str(self._system.workspace.root.resolve())
        nice = ["nice", "-n", _NICE] if shutil.which("nice") else []
        command = [sys.executable, "-P", "-m", "headrace", "rollout", "run", folder]
        self._started_s = now_s
        # In a group of its own an interrupt at the terminal does not reach it; it ends by the lock.
        self._process = subprocess.Popen([*nice, *command, "--of-service"], process_group=0)
        log_event("info", "controller_started", process=self._process.pid)

    def _acquire(self) -> bool:
        """Try to hold the lock of the service that keeps the controller."""
        if self._lock is not None:
            return True
        path = self._system.workspace.rollouts / "service.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock = handle
        return True

    @property
    def is_keeping(self) -> bool:
        """Whether this process is the one that keeps the controller."""
        return self._lock is not None

    def close(self) -> None:
        """Let go of the lock: the controller ends, or another service keeps it."""
        if self._lock is not None:
            with suppress(OSError):
                os.close(self._lock)
            self._lock = None
