"""Sealing the full files of a log in a process of its own, so that who appends has the processor to itself."""

import gc
import shutil
import subprocess
import sys
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.log.log import Log

_GENTLY = """\
import os, sys
try:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
except (AttributeError, OSError):
    pass
from headrace.log.sealer import main
main(*sys.argv[1:])
"""
"""Before libraries are loaded, which is half of the work. Where the system lets it, who asks for the processor has it
at once: one that is merely nice keeps it for milliseconds."""


def start(folder: Path, retention: int | None) -> subprocess.Popen[bytes]:
    """Starts the process, which gives way to every other. An interrupt at the terminal is for who
    started it: it stands in a group of its own, and finishes.
    """
    told = [] if retention is None else [str(retention)]
    nice = ["nice", "-n", "19"] if shutil.which("nice") else []
    return subprocess.Popen(
        [*nice, sys.executable, "-P", "-c", _GENTLY, str(folder), *told], process_group=0
    )


def main(folder: str, retention: str | None = None) -> None:
    """Seals what is full, and what becomes so meanwhile; what fails now is tried again when the next file is full."""
    gc.set_threshold(
        100_000
    )  # records are many small objects without cycles: looking at them is a tenth of the work
    log = Log(Path(folder), retention=None if retention is None else int(retention))
    try:
        while log.seal_full():
            pass
    except HeadraceError as error:
        sys.exit(str(error))
