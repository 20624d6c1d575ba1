"""A process of the service ends with its parent: else it holds the port, and nobody can end it."""

import os
import signal

from headrace.serve.log_event import log_event


def stop_without_parent(parent: int | None) -> bool:
    """Stop this process in order if its parent is gone, and say whether that is so.

    `parent` is the id of the process that started this one; None where nobody has to be there.
    """
    if parent is None or os.getppid() == parent:
        return False
    log_event("error", "parent_gone", parent=parent)
    signal.raise_signal(signal.SIGTERM)
    return True
