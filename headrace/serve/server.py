"""uvicorn's server, which ends gently: whoever sends requests to it hears of it a little later than it does."""

import signal
from typing import Any

import uvicorn

from headrace.clock import SYSTEM
from headrace.serve.log_event import log_event


class Server(uvicorn.Server):  # type: ignore[misc]
    """Answers on after SIGTERM until no connection is open, or its grace is over; a second signal ends it at once."""

    _until_s = 0.0

    def handle_exit(self, number: int, frame: Any) -> None:
        """See `uvicorn.Server`."""
        service = getattr(self.config.loaded_app, "service", None) if self.config.loaded else None
        if number != signal.SIGTERM or self._until_s or service is None or not service.ready:
            super().handle_exit(number, frame)
            return
        self._captured_signals.append(number)
        self._until_s = SYSTEM.monotonic_s() + service.settings.grace_s
        service.ready = False
        log_event("info", "ending", grace_s=service.settings.grace_s)

    async def on_tick(self, counter: int) -> bool:
        """See `uvicorn.Server`."""
        if self._until_s and (
            SYSTEM.monotonic_s() > self._until_s or not self.server_state.connections
        ):
            self.should_exit = True
        return bool(await super().on_tick(counter))
