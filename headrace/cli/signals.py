"""Signals: they end what is under way in order, or at once where that takes too long."""

import os
import signal
import sys
import threading
import time

_GRACE_S = 1.5
_interrupts: list[bool] = []


def was_interrupted() -> bool:
    """Returns whether an interrupt (Ctrl-C) has reached this process."""
    return bool(_interrupts)


def _interrupt(*_: object) -> None:
    _interrupts.append(True)
    raise KeyboardInterrupt


def end_in_time() -> None:
    """Lets a signal end what is under way in order, and, where that takes too long, at once.

    A library that is at work in C does not hear of it before it returns: a thread does, by the file
    that the interpreter writes each signal to.
    """
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def watch() -> None:
        while True:
            (number,) = os.read(heard, 1)
            if number in (signal.SIGINT, signal.SIGTERM):
                time.sleep(_GRACE_S)
                os._exit(128 + number)

    threading.Thread(target=watch, daemon=True).start()
