"""uvicorn's server with a gentle end: senders of requests learn of it later than the process.

The end goes in three steps:

    SIGTERM ──> `/health/ready` answers 503; all other requests are answered as before
            ──> no connection is open, or `grace_s` seconds have passed, or a second signal came
            ──> uvicorn's own end: requests under way are answered, then the process stops
"""

import signal
from typing import Any

import uvicorn

from headrace.clock import SYSTEM
from headrace.serve.log_event import log_event


class Server(uvicorn.Server):  # type: ignore[misc]
    """A server that answers after SIGTERM until its connections are closed or its grace is over.

    A second signal ends it at once.
    """

    _exit_at_s = 0.0

    def handle_exit(self, number: int, frame: Any) -> None:
        """Begin the end on the first SIGTERM; leave every other signal to uvicorn."""
        service = None
        if self.config.loaded:
            service = getattr(self.config.loaded_app, "service", None)
        if number != signal.SIGTERM or self._exit_at_s or service is None or not service.ready:
            super().handle_exit(number, frame)
            return

        # uvicorn raises captured signals again at its end: the exit status stays that of SIGTERM.
        self._captured_signals.append(number)
        self._exit_at_s = SYSTEM.monotonic_s() + service.settings.grace_s
        service.ready = False
        log_event("info", "ending", grace_s=service.settings.grace_s)

    async def on_tick(self, counter: int) -> bool:
        """Say whether the server ends now; uvicorn asks ten times a second."""
        is_over = SYSTEM.monotonic_s() > self._exit_at_s or not self.server_state.connections
        if self._exit_at_s and is_over:
            self.should_exit = True
        return bool(await super().on_tick(counter))
