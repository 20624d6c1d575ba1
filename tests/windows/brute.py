"""What windows mean, one row and one version of an event at a time.

Nothing here is shared with the product.
"""

import math
import statistics
from typing import Any, NamedTuple


class Version(NamedTuple):
    """What was said of an event at some time; minutes."""

    id: int
    time: int
    available: int
    user: str | None
    value: float | None
    word: str | None
    deleted: bool = False


def in_window(
    versions: list[Version], user: str | None, now: int, over: int | None, hop: int
) -> list[Version]:
    """The events that a row at `now` sees, in the order of time and id."""
    seen = []
    for id in {version.id for version in versions}:
        known = [
            (one.available, at)
            for at, one in enumerate(versions)
            if one.id == id and one.available <= now
        ]
        if not known:
            continue
        latest = versions[max(known)[1]]
        left = -math.inf if over is None else now - over if not hop else (now - over) // hop * hop
        if (
            user is not None
            and latest.user == user
            and not latest.deleted
            and left <= latest.time < now
        ):
            seen.append(latest)
    return sorted(seen, key=lambda one: (one.time, one.id))


def aggregate(name: str, seen: list[Version], now: int) -> Any:
    """The aggregate of the events that a row sees; `rate` and the others `where` word == 'a' or
    value > 0.
    """
    values = [one.value for one in seen if one.value is not None]
    words = [one.word for one in seen if one.word is not None]
    if name == "count":
        return len(seen)
    if name == "sum":
        return math.fsum(values)
    if name == "last":
        return words[-1] if words else None
    if name == "distinct":
        return len(set(words)) if words else None
    if name == "since":
        return 60.0 * (now - seen[-1].time) if seen else None
    if name == "rate":
        return sum(one.word == "a" for one in seen) / len(seen) if seen else None
    if name == "std":
        return statistics.stdev(values) if len(values) > 1 else None
    found = {
        "mean": lambda: math.fsum(values) / len(values),
        "min": lambda: min(values),
        "max": lambda: max(values),
    }
    return found[name]() if values else None


def default_hop(over: int | None) -> int:
    """Minutes."""
    return 0 if over is None else 5 if over <= 720 else 60 if over <= 12 * 1440 else 1440
