"""A process of the service ends with the one that started it: else it would hold the port, and nobody could end it."""

import os
import signal

from headrace.serve.log_event import log_event


def stop_without_parent(parent: int | None) -> bool:
    """Ends this process in order where the one that started it is gone; whether that is so."""
    if parent is None or os.getppid() == parent:
        return False
    log_event("error", "parent_gone", parent=parent)
    signal.raise_signal(signal.SIGTERM)
    return True
