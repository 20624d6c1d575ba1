"""The log of a system's events."""

from pathlib import Path

from headrace.log.log import Log
from headrace.spec import System, duration_us, load


def open_log(system: System, patience_s: float | None = None) -> Log:
    """The log of a system's events; see `Log` for `patience_s`."""
    kept = system.log.retention
    retention = None if kept is None else duration_us(kept)
    return Log(system.workspace.log, system.log.fsync, retention=retention, patience_s=patience_s)


def repair_log(folder: str | Path = ".") -> list[str]:
    """Makes the damaged logs of a system usable again: what is whole goes on, what is not is set
    aside, and stays.

    Returns what was done, in words; nothing where all is well. Services and pushes wait meanwhile.
    """
    home = load(folder).workspace.log
    folders = [
        path
        for path in [home, *home.glob("*/")]
        if any(path.glob("*.open")) or any(path.glob("*.parquet"))
    ]
    return [
        f"{path.relative_to(home.parent)}: {said}"
        for path in folders
        for said in Log(path).repair()
    ]
