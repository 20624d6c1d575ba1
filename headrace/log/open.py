"""The logs of a system: how they are opened, and how all of them are repaired."""

from pathlib import Path

from headrace.log.log import Log
from headrace.spec import System, load, parse_duration_us


def open_log(system: System, patience_s: float | None = None) -> Log:
    """Open the log of a system's events; see `Log` for `patience_s`."""
    over = system.log.retention
    retention_us = None if over is None else parse_duration_us(over)
    return Log(
        system.workspace.log, system.log.fsync, retention=retention_us, patience_s=patience_s
    )


def repair_log(folder: str | Path = ".") -> list[str]:
    """Repair the damaged logs of a system: what is whole goes on, what is not is set aside.

    Returns a sentence on each step; none if all is well. Services and pushes wait meanwhile.
    """
    root = load(folder).workspace.log
    messages = []
    for path in [root, *root.glob("*/")]:
        if any(path.glob("*.open")) or any(path.glob("*.parquet")):
            name = path.relative_to(root.parent)
            messages += [f"{name}: {message}" for message in Log(path).repair()]
    return messages
