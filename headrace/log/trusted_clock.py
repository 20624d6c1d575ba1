"""The check of a machine's clock before it says that records are old enough to be removed.

A machine without its time server, or a slip of a hand, sets a clock years ahead, and at once every
record is older than its retention. So the clock is compared with a second one, which counts from
the start of the machine, and which nobody can set:

    clock                day 1    day 2    day 302    day 302.5    day 303.1
    machine's own        1        2        3          3.5          4.1
    trusted              yes      yes      no         no           yes: even for a day
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from headrace.clock import US_PER_S, Clock
from headrace.errors import DECODE_ERRORS
from headrace.tables import atomic_file

_FILE = "clock.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MOST_APART_S = 3_600.0
"""Two clocks that differ by more have not passed the same time: one of them was set."""
_SETTLED_S = 86_400.0
"""A clock that goes evenly for longer after a jump was set right."""


class _Reading(Struct, frozen=True):
    """A reading of both clocks, in seconds.

    `boot` names the start of the machine that `running_s` counts from.
    """

    boot: str
    running_s: float
    wall_s: float


class _Memory(Struct, frozen=True):
    """The last reading that was trusted and, if the clock has jumped since, the first one after."""

    trusted: _Reading
    jumped: _Reading | None = None


def is_trusted(folder: Path, clock: Clock) -> bool:
    """Say whether a clock has gone evenly since a log in the folder last asked.

    A clock that jumped, and then goes evenly for a day, was set right: it is trusted from then on.
    """
    now = _Reading(_read_boot(), clock.running_s(), clock.now_us() / US_PER_S)
    path = folder / _FILE
    before = _read_memory(path)
    after, trusted = _compare(before or _Memory(now), now)
    if after != before:
        with atomic_file(path) as draft:
            draft.write_bytes(msgspec.json.encode(after))
    return trusted


def _compare(memory: _Memory, now: _Reading) -> tuple[_Memory, bool]:
    """Return the memory after a reading, and whether the clock is trusted."""
    if _agree(memory.trusted, now):
        return _Memory(now), True
    jumped = memory.jumped
    if jumped is None or not _agree(jumped, now):
        return _Memory(memory.trusted, now), False
    if now.boot == jumped.boot and now.running_s - jumped.running_s > _SETTLED_S:
        return _Memory(now), True
    return memory, False


def _read_memory(path: Path) -> _Memory | None:
    """Read the memory; None if there is none, or a damaged one, which is then written anew."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Memory)
    except (FileNotFoundError, *DECODE_ERRORS):
        return None


def _agree(before: _Reading, now: _Reading) -> bool:
    """Say whether two readings can be of one clock that nobody set in between."""
    if before.boot != now.boot:
        # How long the machine was off is not known.
        return now.wall_s >= before.wall_s - _MOST_APART_S
    passed_s = now.running_s - before.running_s
    return abs(now.wall_s - before.wall_s - passed_s) <= _MOST_APART_S


def _read_boot() -> str:
    """Read the name of the machine's start; it is empty on a system that gives none."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
