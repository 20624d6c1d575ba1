"""Several processes behind one socket, each started again by itself when it dies."""

from typing import Any

from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from headrace.clock import SYSTEM
from headrace.serve.log_event import log_event
from headrace.serve.server import Server

FIRST_PAUSE_S, LONGEST_PAUSE_S, SOON_S = 0.5, 30.0, 10.0


class _Worker(Process):  # type: ignore[misc]
    """A process that runs our server."""

    _ours: Server | None = None

    @property
    def server(self) -> Server:
        """See `Process`."""
        if self._ours is None:
            self._ours = Server(config=self.config)
        return self._ours


class Workers(Multiprocess):  # type: ignore[misc]
    """uvicorn's processes, but that one which cannot start does not end those that serve: it is
    tried again, after a pause that doubles each time, and so is one that dies soon. Where none
    could start at first, all is ended, and `failed` says so.
    """

    def __init__(self, config: Any, sockets: Any) -> None:
        super().__init__(config, sockets)
        self.failed = False
        self._served = False
        self._began: dict[int, float] = {}  # when the process of a place was started
        self._pauses: dict[
            int, tuple[float, float]
        ] = {}  # of a place: how long the next pause is, until when this one

    def init_processes(self) -> None:
        """See `Multiprocess`."""
        self.processes = [_Worker(self.config, self.sockets) for _ in range(self.processes_num)]
        for process in self.processes:
            process.start()

    def keep_subprocess_alive(self) -> None:
        """See `Multiprocess`."""
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if process.is_alive(self.config.timeout_worker_healthcheck):
                if not self._served and process.is_ready(0.1):
                    self._served = True
                continue
            self._replace(place, process)

    def _replace(self, place: int, process: Process) -> None:
        pause, until = self._pauses.get(place, (FIRST_PAUSE_S, 0.0))
        now = SYSTEM.monotonic_s()
        if until == 0.0:  # it has just been found dead
            process.kill()
            process.join()
            failed = process.exitcode == STARTUP_FAILURE
            if failed and not self._served:
                self.failed = True
                self.should_exit.set()
                return
            soon = failed or now - self._began.get(place, 0.0) < SOON_S
            wait = pause if soon else 0.0
            what = "worker_not_started" if failed else "worker_died"
            log_event("error", what, process=process.pid, status=process.exitcode, again_in_s=wait)
            self._pauses[place] = (
                min(pause * 2, LONGEST_PAUSE_S) if soon else FIRST_PAUSE_S,
                now + wait,
            )
            until = now + wait
        if now >= until:
            self._pauses[place] = self._pauses[place][0], 0.0
            heir = _Worker(self.config, self.sockets)
            heir.start()
            self.processes[place], self._began[place] = heir, now
