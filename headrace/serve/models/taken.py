"""Marks of challengers that processes have taken: so that one which ends workers is found.

    rollout/taken/4711-8.json         process 4711 took version 8, at a time
    rollout/taken/4711-8.died.json    and crashed; its supervisor has renamed the mark

A process that was killed from outside, or ended in order, is no crash.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from headrace.clock import SYSTEM
from headrace.errors import DECODE_ERRORS
from headrace.workspace import Workspace

_NO_CRASH = (0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)


class Taken(Struct):
    """A mark: the version, when it was taken, and when the process died; in microseconds."""

    version: int
    at_us: int
    died_us: int = 0


def mark_taken(workspace: Workspace, version: int) -> None:
    """Leave a mark that this process takes a version into service."""
    with suppress(OSError):  # a workspace that cannot be written serves all the same
        workspace.taken.mkdir(parents=True, exist_ok=True)
        content = msgspec.json.encode(Taken(version, SYSTEM.now_us()))
        _mark(workspace, os.getpid(), version).write_bytes(content)


def remove_marks(workspace: Workspace) -> None:
    """Remove the marks of this process, which ends in order."""
    for path in workspace.taken.glob(f"{os.getpid()}-*.json"):
        with suppress(OSError):
            path.unlink()


def bury(workspace: Workspace, process: int, status: int | None) -> None:
    """Turn the marks of a process that crashed into those of deaths; remove those of others."""
    for path in workspace.taken.glob(f"{process}-*.json"):
        if path.name.endswith(".died.json"):
            continue
        with suppress(OSError, *DECODE_ERRORS):
            if status in _NO_CRASH:
                path.unlink()
                continue
            taken = msgspec.json.decode(path.read_bytes(), type=Taken)
            taken.died_us = SYSTEM.now_us()
            path.write_bytes(msgspec.json.encode(taken))
            path.rename(path.with_suffix(".died.json"))


def _mark(workspace: Workspace, process: int, version: int) -> Path:
    return workspace.taken / f"{process}-{version}.json"
