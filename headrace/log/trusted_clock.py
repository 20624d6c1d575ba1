"""Whether the clock may be believed when it says that records are old enough to be removed.

A machine without its time server, or a slip of a hand, sets a clock years ahead, and everything is
over its retention at once. So it is compared with a second one, which counts from the start of the
machine and which nobody can set.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from headrace.clock import US_PER_S, Clock
from headrace.errors import DECODE_ERRORS
from headrace.tables import atomic_file

_FILE, _BOOT = "clock.json", Path("/proc/sys/kernel/random/boot_id")
_MOST_APART_S, _SETTLED_S = 3_600.0, 86_400.0


class _Reading(Struct, frozen=True):
    """Holds one look at both clocks, in seconds.

    `boot` names the start of the machine that `running_s` counts from.
    """

    boot: str
    running_s: float
    wall_s: float


class _Memory(Struct, frozen=True):
    """Holds the last look that was believed and, where the clock has jumped since, the first look after the jump."""

    trusted: _Reading
    jumped: _Reading | None = None


def is_trusted(folder: Path, clock: Clock) -> bool:
    """Whether as much time has passed by the clock as by the machine's own since a log was last
    looked at.

    A clock that jumped and goes on evenly for a day was set right, and is believed from then on.
    """
    now = _Reading(_boot(), clock.running_s(), clock.now_us() / US_PER_S)
    path = folder / _FILE
    known = _read_memory(path)
    is_new = known is None
    known = known or _Memory(now)
    if _agree(known.trusted, now):
        found, believed = _Memory(now), True
    elif known.jumped is not None and _agree(known.jumped, now):
        believed = (
            now.boot == known.jumped.boot and now.running_s - known.jumped.running_s > _SETTLED_S
        )
        found = _Memory(now) if believed else known
    else:
        found, believed = _Memory(known.trusted, now), False
    if found != known or is_new:
        with atomic_file(path) as beside:
            beside.write_bytes(msgspec.json.encode(found))
    return believed


def _read_memory(path: Path) -> _Memory | None:
    """Read the last look; None where there is none, or a damaged one, which is written anew."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Memory)
    except (FileNotFoundError, *DECODE_ERRORS):
        return None


def _agree(before: _Reading, now: _Reading) -> bool:
    """Whether two looks may be of one clock; how long a machine was off nobody knows."""
    if before.boot != now.boot:
        return now.wall_s >= before.wall_s - _MOST_APART_S
    passed = now.running_s - before.running_s
    return abs(now.wall_s - before.wall_s - passed) <= _MOST_APART_S


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
