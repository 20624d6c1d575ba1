"""Which unit gets which arm: a pure function of a salt and the unit, the same everywhere.

A hash places each unit at a point of a line of `SPACE` points, which the arms divide:

    0                                                               SPACE
    | champion                              | challenger | champion |
                        ^ unit "7"                ^ unit "8"

When shares change, an arm that shrinks gives the ends of its stretches to those that grow. No other
point moves: so the fewest possible units do, and none between two arms whose shares stay.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from hashlib import blake2b

from msgspec import Struct

SPACE = 1 << 62
"""The points of the line. A share is exact to a part in so many."""
_SHIFT = 2
_read_number = int.from_bytes


class Stretch(Struct, frozen=True, array_like=True):
    """A part of the line, up to the point `end`, and the arm that has it."""

    end: int
    arm: str


Division = tuple[Stretch, ...]
"""The whole line: stretches by their ends, the last of which is `SPACE`."""


def locate(salt: bytes, unit: str) -> int:
    """Return the point of a unit, below `SPACE`.

    >>> locate(b"ads/4", "7") == locate(b"ads/4", "7"), locate(b"ads/4", "7") == locate(b"x", "7")
    (True, False)
    """
    # ASCII, which nearly every unit is, takes the short way.
    text = unit.encode() if unit.isascii() else unit.encode("utf-8", "surrogatepass")
    return _read_number(blake2b(salt + text, digest_size=8).digest(), "big") >> _SHIFT


def find_arm(division: Division, point: int) -> str:
    """Return the arm that has a point.

    >>> line = divide({"champion": 0.5, "challenger": 0.5})
    >>> find_arm(line, 0), find_arm(line, SPACE - 1)
    ('champion', 'challenger')
    """
    return division[bisect_right(division, point, key=_get_end)].arm


def _get_end(stretch: Stretch) -> int:
    return stretch.end


def divide(shares: Mapping[str, float], before: Division = ()) -> Division:
    """Divide the line by shares that sum to 1, and move as few points as possible.

    Parameters: `before`, the division until now; without it, each arm gets one stretch.

    >>> first = divide({"champion": 0.75, "challenger": 0.25})
    >>> [stretch.arm for stretch in divide({"champion": 0.5, "challenger": 0.5}, first)]
    ['champion', 'challenger']
    """
    wanted = _count_points(shares)
    if not before:
        ends = []
        end = 0
        for arm, points in wanted.items():
            end += points
            if points:
                ends.append(Stretch(end, arm))
        return tuple(ends)

    current = measure(before)
    excess = {arm: max(points - wanted.get(arm, 0), 0) for arm, points in current.items()}
    lacking = {arm: max(points - current.get(arm, 0), 0) for arm, points in wanted.items()}
    return _merge(_hand_over(before, excess, lacking))


def _count_points(shares: Mapping[str, float]) -> dict[str, int]:
    """Return the points of each arm; the largest one gets what rounding leaves."""
    points = {arm: round(share * SPACE) for arm, share in shares.items()}
    largest = max(points, key=lambda arm: (points[arm], arm))
    points[largest] += SPACE - sum(points.values())
    return points


def _hand_over(before: Division, excess: dict[str, int], lacking: dict[str, int]) -> list[Stretch]:
    """Let arms with points in excess hand the ends of their stretches to arms that lack some."""
    after: list[Stretch] = []
    start = 0
    for stretch in before:
        given = min(excess[stretch.arm], stretch.end - start)
        excess[stretch.arm] -= given
        at = stretch.end - given
        if at > start:
            after.append(Stretch(at, stretch.arm))
        for arm, points in lacking.items():
            taken = min(points, stretch.end - at)
            if taken:
                lacking[arm] -= taken
                at += taken
                after.append(Stretch(at, arm))
        start = stretch.end
    return after


def _merge(stretches: list[Stretch]) -> Division:
    """Merge neighbours of one arm."""
    merged: list[Stretch] = []
    for stretch in stretches:
        if merged and merged[-1].arm == stretch.arm:
            merged.pop()
        merged.append(stretch)
    return tuple(merged)


def measure(division: Division) -> dict[str, int]:
    """Return how many points each arm has."""
    points: dict[str, int] = {}
    start = 0
    for stretch in division:
        points[stretch.arm] = points.get(stretch.arm, 0) + stretch.end - start
        start = stretch.end
    return points


def to_text(unit: object) -> str | None:
    """Return a unit as the text that it is, so that 7, 7.0 and "7" are one; None for no unit.

    >>> to_text(7), to_text(7.0), to_text("7"), to_text(True), to_text(None), to_text("")
    ('7', '7', '7', 'true', None, None)
    """
    if type(unit) is str:
        return unit or None
    if type(unit) is int:
        return str(unit)
    if unit is None or (isinstance(unit, float) and math.isnan(unit)):
        return None
    if isinstance(unit, bool):
        return "true" if unit else "false"
    if isinstance(unit, float) and unit.is_integer():
        return str(int(unit))
    return str(unit)
