"""Several processes behind one socket, each started again by itself when it dies.

    process dies ──> pause 0.5 s ──> start ──> dies within 10 s ──> pause 1 s ──> start ──> ...
                                          └──> lives for longer: the next pause is 0.5 s again

No pause lasts longer than 30 s, and a process that lived for longer is replaced without one.
"""

from collections.abc import Sequence
from typing import Any

from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from headrace.clock import SYSTEM
from headrace.serve.log_event import log_event
from headrace.serve.models.taken import bury
from headrace.serve.server import Server
from headrace.workspace import Workspace

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
SHORT_LIFE_S = 10.0
"""A process that dies sooner is started again after a pause."""


class _Worker(Process):  # type: ignore[misc]
    """A process that runs our server in the place of uvicorn's."""

    _own_server: Server | None = None

    @property
    def server(self) -> Server:
        """The server; it is made in the process that runs it."""
        if self._own_server is None:
            self._own_server = Server(config=self.config)
        return self._own_server


class Workers(Multiprocess):  # type: ignore[misc]
    """uvicorn's processes, of which one that cannot start does not end the others.

    It is tried again after a pause that doubles each time, and so is a process that dies soon. If
    one cannot start before any has served, all are ended and `failed` is true.
    """

    def __init__(self, config: Any, sockets: Any, workspaces: Sequence[Workspace] = ()) -> None:
        super().__init__(config, sockets)
        self._workspaces = workspaces
        self.failed = False
        self._has_served = False
        # Each by the index of a process: when it started; the next pause and the end of this one.
        self._started_s: dict[int, float] = {}
        self._pauses: dict[int, tuple[float, float]] = {}

    def init_processes(self) -> None:
        """Start all processes."""
        self.processes = [_Worker(self.config, self.sockets) for _ in range(self.processes_num)]
        for process in self.processes:
            process.start()

    def keep_subprocess_alive(self) -> None:
        """Replace the processes that have died; uvicorn calls this twice a second."""
        for index, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if not process.is_alive(self.config.timeout_worker_healthcheck):
                self._replace(index, process)
            elif not self._has_served and process.is_ready(0.1):
                self._has_served = True

    def _replace(self, index: int, process: Process) -> None:
        """Start another process in the place of a dead one, once its pause is over."""
        now = SYSTEM.monotonic_s()
        pause_s, until_s = self._pauses.get(index, (FIRST_PAUSE_S, 0.0))

        # Without an end of a pause, this is the first look at the dead process.
        if until_s == 0.0:
            wait_s = self._bury(index, process, pause_s, now)
            if wait_s is None:
                return
            until_s = now + wait_s

        if now >= until_s:
            self._pauses[index] = self._pauses[index][0], 0.0
            successor = _Worker(self.config, self.sockets)
            successor.start()
            self.processes[index] = successor
            self._started_s[index] = now

    def _bury(self, index: int, process: Process, pause_s: float, now: float) -> float | None:
        """Collect a dead process; return the seconds to wait, or None where all are ended."""
        process.kill()
        process.join()
        for workspace in self._workspaces:
            bury(workspace, process.pid, process.exitcode)
        not_started = process.exitcode == STARTUP_FAILURE
        if not_started and not self._has_served:
            self.failed = True
            self.should_exit.set()
            return None

        died_soon = not_started or now - self._started_s.get(index, 0.0) < SHORT_LIFE_S
        wait_s = pause_s if died_soon else 0.0
        next_pause_s = min(pause_s * 2, MAX_PAUSE_S) if died_soon else FIRST_PAUSE_S
        self._pauses[index] = (next_pause_s, now + wait_s)
        event = "worker_not_started" if not_started else "worker_died"
        log_event("error", event, process=process.pid, status=process.exitcode, again_in_s=wait_s)
        return wait_s
