"""The ids of predictions: they sort by time, and hold the version of the model that answered.

An id has 28 hexadecimal digits:

    065e918389e1a0 000003 01 000007
    │              │      │  └── 6: the process, a random number
    │              │      └───── 2: the arm of the rollout's phase, from 1; 0 outside of one
    │              └──────────── 6: the version of the model
    └─────────────────────────── 14: microseconds since 1970 UTC
"""

import os

from headrace.clock import SYSTEM, Clock


class IdGenerator:
    """A maker of ids.

    No two ids of a process have the same microsecond: where the clock stands still or goes back,
    an id takes a microsecond of the future.

    >>> from headrace.clock import ManualClock
    >>> ids = IdGenerator(ManualClock(now_us=5)).take(2, version=3, arm=1)
    >>> [id_[:22] for id_ in ids]
    ['0000000000000500000301', '0000000000000600000301']
    """

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._last = 0
        self._process = int.from_bytes(os.urandom(3), "big")
        self._tails: dict[tuple[int, int], list[str]] = {}

    def take(self, count: int, version: int, arm: int = 0) -> list[str]:
        """Return `count` new ids for predictions of a version in an arm, a microsecond apart."""
        first = self._clock.now_us()
        if first <= self._last:
            first = self._last + 1
        self._last = first + count - 1

        # 256 ids in a row share all but the last two digits of their time. So the digits that
        # follow are formatted once a version, and the digits before once for 256 ids.
        tails = self._tails.get((version, arm))
        if tails is None:
            tail = f"{version & 0xFFFFFF:06x}{arm & 0xFF:02x}{self._process:06x}"
            tails = self._tails[version, arm] = [f"{low:02x}{tail}" for low in range(256)]
        if count == 1:
            return [f"{first >> 8:012x}{tails[first & 255]}"]

        ids: list[str] = []
        while len(ids) < count:
            time = first + len(ids)
            head = f"{time >> 8:012x}"
            low = time & 255
            ids += [head + tail for tail in tails[low : low + count - len(ids)]]
        return ids
