"""The process that seals the full files of a log, so that appending keeps a processor to itself."""

import gc
import shutil
import subprocess
import sys
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.log.log import Log

_GIVE_WAY = """\
import os, sys
try:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
except (AttributeError, OSError):
    pass
from headrace.log.sealer import main
main(*sys.argv[1:])
"""
"""The process gives way before it loads libraries, which is half of its work. If the system allows
idle priority, others have the processor the moment they ask for it; a process that is only nice
keeps it for milliseconds."""

_GC_THRESHOLD = 100_000


def start(folder: Path, retention: int | None) -> subprocess.Popen[bytes]:
    """Start a process that seals the full files of a log, and gives way to all others.

    It has a process group of its own: an interrupt at the terminal does not reach it, and it
    finishes.
    """
    arguments = [] if retention is None else [str(retention)]
    nice = ["nice", "-n", "19"] if shutil.which("nice") else []
    return subprocess.Popen(
        [*nice, sys.executable, "-P", "-c", _GIVE_WAY, str(folder), *arguments], process_group=0
    )


def main(folder: str, retention: str | None = None) -> None:
    """Seal the files that are full, and those that become full meanwhile.

    What fails now is tried again when the next file is full.
    """
    # Records are many small objects without cycles: to search them often takes a tenth of the time.
    gc.set_threshold(_GC_THRESHOLD)
    log = Log(Path(folder), retention=None if retention is None else int(retention))
    try:
        while log.seal_full():
            pass
    except HeadraceError as error:
        sys.exit(str(error))
