"""The command: `headrace`, or `python -m headrace`.

A signal ends it without a word, from its first moment on.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` itself takes a moment to load
import os


def main() -> None:
    """Load the command line, which takes a moment, and run it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os._exit(128 + number))  # nothing has begun yet
    from headrace.cli import main as run_command

    run_command()


if __name__ == "__main__":
    main()
