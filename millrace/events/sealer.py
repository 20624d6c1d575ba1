"""Sealing the full files of a log in a process of its own, so that who appends has the processor to itself.

python -m millrace.events.sealer FOLDER [RETENTION_US]
"""

import shutil
import subprocess
import sys
from pathlib import Path

from millrace.errors import MillraceError
from millrace.events.log import Log


def start(folder: Path, retention: int | None) -> subprocess.Popen[bytes]:
    """Starts the process, which gives way to every other."""
    told = [] if retention is None else [str(retention)]
    nice = ["nice", "-n", "19"] if shutil.which("nice") else []  # loading libraries is half of its work
    return subprocess.Popen([*nice, sys.executable, "-P", "-m", "millrace.events.sealer", str(folder), *told])


def main(folder: str, retention: str | None = None) -> None:
    """Seals what is full; what fails now is tried again when the next file is full."""
    try:
        Log(Path(folder), retention=None if retention is None else int(retention)).seal_full()
    except MillraceError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
