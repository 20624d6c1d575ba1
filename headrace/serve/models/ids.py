"""The ids of predictions: they sort by time, and hold the version of the model that answered.

An id has 28 hexadecimal digits:

    065e918389e1a0 000003 00000007
    │              │      └── 8: the process, a random number
    │              └───────── 6: the version of the model
    └──────────────────────── 14: microseconds since 1970 UTC
"""

import os
from typing import NamedTuple

from headrace.clock import SYSTEM, Clock
from headrace.log import TIME_DIGITS, time_in_id

_LENGTH = 28
_VERSION_END = 20


class PredictionId(NamedTuple):
    """The parts of a prediction's id.

    `time` is in microseconds since 1970 UTC, `version` is the model's, and `process` is a random
    number that no two processes of a service share, but for chance.
    """

    time: int
    version: int
    process: int


def read_id(prediction_id: str) -> PredictionId:
    """Read the parts of a prediction's id; raises `ValueError` for a text that is no such id.

    >>> read_id("065e918389e1a000000300000007")
    PredictionId(time=1792828930384288, version=3, process=7)
    """
    if len(prediction_id) != _LENGTH or not prediction_id.isalnum():
        raise ValueError(f"not a prediction id: {prediction_id[:40]!r}")
    version = int(prediction_id[TIME_DIGITS:_VERSION_END], 16)
    process = int(prediction_id[_VERSION_END:], 16)
    return PredictionId(time_in_id(prediction_id), version, process)


class IdGenerator:
    """A maker of ids.

    No two ids of a process have the same microsecond: where the clock stands still or goes back,
    an id takes a microsecond of the future.

    >>> from headrace.clock import ManualClock
    >>> ids = IdGenerator(ManualClock(now_us=5)).take(2, version=3)
    >>> [id_[:20] for id_ in ids]
    ['00000000000005000003', '00000000000006000003']
    """

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._last = 0
        self._process = int.from_bytes(os.urandom(4), "big")
        self._tails: dict[int, list[str]] = {}

    def take(self, count: int, version: int) -> list[str]:
        """Return `count` new ids for predictions of a version, a microsecond apart."""
        first = self._clock.now_us()
        if first <= self._last:
            first = self._last + 1
        self._last = first + count - 1

        # 256 ids in a row share all but the last two digits of their time. So the digits that
        # follow are formatted once a version, and the digits before once for 256 ids.
        tails = self._tails.get(version)
        if tails is None:
            tail = f"{version & 0xFFFFFF:06x}{self._process:08x}"
            tails = self._tails[version] = [f"{low:02x}{tail}" for low in range(256)]
        if count == 1:
            return [f"{first >> 8:012x}{tails[first & 255]}"]

        ids: list[str] = []
        while len(ids) < count:
            time = first + len(ids)
            head = f"{time >> 8:012x}"
            low = time & 255
            ids += [head + tail for tail in tails[low : low + count - len(ids)]]
        return ids
