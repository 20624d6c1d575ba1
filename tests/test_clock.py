"""Times are whole microseconds since 1970 UTC, there and back, whatever the zone they came in."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.clock import (
    DAY_US,
    HOUR_US,
    SYSTEM,
    US_PER_S,
    ManualClock,
    to_datetime,
    to_text,
    to_us,
    to_us_or_now,
)

moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments)
def test_a_moment_is_its_days_seconds_and_microseconds(moment: datetime) -> None:
    since = moment - datetime(1970, 1, 1)
    us = (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds
    assert to_us(moment) == us
    assert to_datetime(us) == moment


@given(moment=moments, zone=offsets)
def test_one_moment_is_one_number_in_every_zone(moment: datetime, zone: timezone) -> None:
    assert to_us(moment.replace(tzinfo=UTC).astimezone(zone)) == to_us(moment)


@given(moments)
def test_a_text_is_read_as_the_moment_up_to_its_digits(moment: datetime) -> None:
    us = to_us(moment)
    aware = moment.replace(tzinfo=UTC)
    assert datetime.fromisoformat(to_text(us)) == aware.replace(
        microsecond=moment.microsecond // 1000 * 1000
    )
    assert datetime.fromisoformat(to_text(us, "seconds", " ")) == aware.replace(microsecond=0)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "1970-01-01T00:00:00.000+00:00"),
        (-1, "1969-12-31T23:59:59.999+00:00"),
        (DAY_US + HOUR_US + US_PER_S, "1970-01-02T01:00:01.000+00:00"),
    ],
)
def test_a_text_is_iso_8601(us: int, text: str) -> None:
    assert to_text(us) == text


def test_no_moment_is_that_of_the_clock() -> None:
    clock = ManualClock(now_us=7)
    assert to_us_or_now(None, clock) == 7
    assert to_us_or_now(datetime(1970, 1, 1, 0, 0, 2), clock) == 2 * US_PER_S


@given(st.lists(st.integers(0, 10**6), max_size=6))
def test_a_manual_clock_stands_still_until_it_is_moved(steps: list[int]) -> None:
    clock = ManualClock(now_us=5)
    for passed in steps:
        clock.advance(passed / 4)
    assert clock.now_us() == clock.now_us() == 5 + sum(steps) * US_PER_S // 4
    assert clock.monotonic_s() == clock.running_s() == sum(steps) / 4
    clock.set(-3)
    assert clock.now_us() == -3
    assert clock.monotonic_s() == sum(steps) / 4


def test_the_clocks_of_this_machine_do_not_go_back() -> None:
    for clock in (SYSTEM.monotonic_s, SYSTEM.running_s):
        first = clock()
        assert clock() >= first
    assert isinstance(SYSTEM.now_us(), int)
    assert SYSTEM.now_us() > to_us(datetime(2024, 1, 1))
