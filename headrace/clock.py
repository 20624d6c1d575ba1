"""Time in whole microseconds since 1970 UTC, and the clocks that show it.

Code that decides by time takes a `Clock`, so that a test can pass a `ManualClock`.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

EPOCH = datetime(1970, 1, 1)
US_PER_S = 1_000_000
HOUR_US = 3_600 * US_PER_S
DAY_US = 24 * HOUR_US
_US = timedelta(microseconds=1)


class Clock(Protocol):
    """A source of the time of day, and of the time that has passed."""

    def now_us(self) -> int:
        """Return the time of day in microseconds since 1970 UTC. A person may set it, also back."""
        ...

    def monotonic_s(self) -> float:
        """Return the seconds since a fixed moment; they never go back."""
        ...

    def running_s(self) -> float:
        """Return the seconds since the machine started, sleep included; nobody can set them."""
        ...


class SystemClock:
    """The clocks of this machine."""

    monotonic_s = staticmethod(time.perf_counter)

    @staticmethod
    def now_us() -> int:
        """See `Clock`."""
        return time.time_ns() // 1000

    @staticmethod
    def running_s() -> float:
        """See `Clock`."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class ManualClock:
    """A clock that moves only when a test moves it.

    >>> clock = ManualClock(now_us=5)
    >>> clock.advance(2.0)
    >>> clock.now_us(), clock.monotonic_s()
    (2000005, 2.0)
    """

    def __init__(self, now_us: int = 0) -> None:
        self._now_us = now_us
        self._passed_s = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass on all clocks."""
        self._now_us += round(seconds * US_PER_S)
        self._passed_s += seconds

    def set(self, now_us: int) -> None:
        """Set the time of day alone, as a person may."""
        self._now_us = now_us

    def now_us(self) -> int:
        """See `Clock`."""
        return self._now_us

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return self._passed_s

    def running_s(self) -> float:
        """See `Clock`."""
        return self._passed_s


SYSTEM = SystemClock()


def to_us(moment: datetime) -> int:
    """Convert a time to microseconds since 1970 UTC; a time without a zone is UTC.

    >>> to_us(datetime(1970, 1, 1, 0, 0, 1))
    1000000
    """
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - EPOCH) // _US


def to_us_or_now(moment: datetime | None, clock: Clock = SYSTEM) -> int:
    """Convert as `to_us` does; None means the time of the clock."""
    return clock.now_us() if moment is None else to_us(moment)


def to_datetime(us: int) -> datetime:
    """Convert microseconds to a time in UTC without a zone.

    >>> to_datetime(1_000_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1)
    """
    return EPOCH + timedelta(microseconds=us)


def to_text(
    us: int, digits: Literal["seconds", "milliseconds"] = "milliseconds", sep: str = "T"
) -> str:
    """Write a time in ISO 8601, with the zone UTC.

    >>> to_text(1_500_000)
    '1970-01-01T00:00:01.500+00:00'
    """
    return to_datetime(us).replace(tzinfo=UTC).isoformat(sep, digits)


def from_text(text: str) -> int:
    """Read a time that `to_text` wrote, in microseconds since 1970 UTC.

    >>> from_text(to_text(1_500_000))
    1500000
    """
    return to_us(datetime.fromisoformat(text))
