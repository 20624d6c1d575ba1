"""Finds an arm whose version ends workers: two crashed of it, each within a minute of taking it.

A worker that takes a challenger leaves `rollout/taken/PROCESS-VERSION.json`. Its supervisor renames
the file to `….died.json` when the worker crashed, and not when somebody killed it.
"""

from contextlib import suppress

import msgspec
from msgspec import Struct

from headrace.clock import US_PER_S
from headrace.errors import DECODE_ERRORS
from headrace.rollout import Rollout
from headrace.workspace import Workspace

_SOON_US = 60 * US_PER_S
_DEATHS = 2


class _Taken(Struct):
    version: int
    at_us: int
    died_us: int = 0


def find_crashed(workspace: Workspace, rollout: Rollout) -> str | None:
    """Return the arm of which workers died twice soon after taking it; None where none did."""
    deaths: dict[int, int] = {}
    for path in workspace.taken.glob("*.died.json"):
        with suppress(OSError, *DECODE_ERRORS):
            taken = msgspec.json.decode(path.read_bytes(), type=_Taken)
            if taken.at_us >= rollout.since_us and taken.died_us - taken.at_us <= _SOON_US:
                deaths[taken.version] = deaths.get(taken.version, 0) + 1
    for arm in rollout.phase.challengers:
        if deaths.get(arm.version, 0) >= _DEATHS and arm.version != rollout.champion:
            return arm.name
    return None
