"""The names of predictions: they sort by time, and say which version of the model answered."""

import os
from typing import NamedTuple

from headrace.clock import SYSTEM, Clock
from headrace.log import TIME_DIGITS, time_in_id

_LENGTH = 28


class PredictionId(NamedTuple):
    """What an id says: when (microseconds since 1970 UTC) and by which version; `process` tells processes apart."""

    time: int
    version: int
    process: int


def read_id(prediction_id: str) -> PredictionId:
    """What the id of a prediction says; raises `ValueError` for anything else.

    >>> read_id("065e918389e1a000000300000007")
    PredictionId(time=1792828930384288, version=3, process=7)
    """
    if len(prediction_id) != _LENGTH or not prediction_id.isalnum():
        raise ValueError(f"no prediction id: {prediction_id[:40]!r}")
    version, process = prediction_id[TIME_DIGITS:20], prediction_id[20:]
    return PredictionId(time_in_id(prediction_id), int(version, 16), int(process, 16))


class IdGenerator:
    """Makes ids.

    In one process no two have the same microsecond; where it must, it takes one from the future.
    """

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock, self._last = clock, 0
        self._process = int.from_bytes(os.urandom(4), "big")
        self._tails: dict[int, list[str]] = {}

    def take(self, count: int, version: int) -> list[str]:
        """The ids of `count` predictions of one version, in their order, a microsecond apart."""
        first = self._clock.now_us()
        if first <= self._last:
            first = self._last + 1
        self._last = first + count - 1
        tails = self._tails.get(version)
        if tails is None:
            tail = f"{version & 0xFFFFFF:06x}{self._process:08x}"
            tails = self._tails[version] = [f"{low:02x}{tail}" for low in range(256)]
        if count == 1:
            return [f"{first >> 8:012x}{tails[first & 255]}"]
        ids: list[str] = []
        while len(ids) < count:  # all that begin in the same way: the rest is known
            at = first + len(ids)
            head, low = f"{at >> 8:012x}", at & 255
            ids += [head + tail for tail in tails[low : low + count - len(ids)]]
        return ids
