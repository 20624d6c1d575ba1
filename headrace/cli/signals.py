"""Ends a command on SIGINT or SIGTERM: in order, or by force if that takes too long.

signal ──► Python's handler ──► an exception unwinds the command     waits until C code returns
      └──► the wakeup pipe ──► a thread: after 1.5 s it ends the process
"""

import os
import signal
import sys
import threading
import time

_GRACE_S = 1.5
"""A command has this time to end in order."""
_interrupts: list[bool] = []


def was_interrupted() -> bool:
    """Say whether an interrupt (Ctrl-C) has reached this process."""
    return bool(_interrupts)


def _interrupt(*_: object) -> None:
    _interrupts.append(True)
    raise KeyboardInterrupt


def end_in_time() -> None:
    """Let a signal end the command in order, or by force if that takes too long.

    Python's own handlers do not run before a library that works in C returns. So a thread reads the
    pipe to which the interpreter writes the number of each signal, and ends the process.
    """
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while True:
            (number,) = os.read(reader, 1)
            if number in (signal.SIGINT, signal.SIGTERM):
                time.sleep(_GRACE_S)
                os._exit(128 + number)

    threading.Thread(target=watch, daemon=True).start()
