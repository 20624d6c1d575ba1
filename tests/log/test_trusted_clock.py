"""A clock is believed as long as it goes as the machine's own, which nobody can set."""

from pathlib import Path

import pytest

from headrace.clock import DAY_US, HOUR_US, ManualClock
from headrace.log.trusted_clock import is_trusted

NOW_US = 20_000 * DAY_US


def looked_at(folder: Path) -> ManualClock:
    """A clock that a log has looked at once."""
    clock = ManualClock(NOW_US)
    assert is_trusted(folder, clock)
    return clock


@pytest.mark.parametrize(
    ("jump_us", "believed"),
    [(0, True), (HOUR_US, True), (-HOUR_US, True), (HOUR_US + 10**6, False), (-2 * HOUR_US, False)],
)
def test_a_clock_may_be_set_by_an_hour(tmp_path: Path, jump_us: int, believed: bool) -> None:
    clock = looked_at(tmp_path)
    clock.advance(5 * 86_400)
    clock.set(clock.now_us() + jump_us)
    assert is_trusted(tmp_path, clock) == believed


@pytest.mark.parametrize("hours", [[0, 0], [1, 100_000, 1], [0.001] * 10, [30_000, 0, 24]])
def test_time_that_passes_evenly_is_believed_however_long(
    tmp_path: Path, hours: list[float]
) -> None:
    clock = looked_at(tmp_path)
    for some in hours:
        clock.advance(some * 3_600)
        assert is_trusted(tmp_path, clock)


def test_a_clock_that_jumped_is_believed_after_an_even_day(tmp_path: Path) -> None:
    clock = looked_at(tmp_path)
    clock.set(NOW_US + 300 * DAY_US)
    found = []
    for _ in range(5):
        found.append(is_trusted(tmp_path, clock))
        clock.advance(8 * 3_600)
    assert found == [False, False, False, False, True]  # at 0, 8, 16, 24 and 32 hours


def test_a_clock_that_jumps_again_waits_a_day_again(tmp_path: Path) -> None:
    clock = looked_at(tmp_path)
    for _ in range(3):
        clock.set(clock.now_us() + 300 * DAY_US)
        assert not is_trusted(tmp_path, clock)
        clock.advance(23 * 3_600)
        assert not is_trusted(tmp_path, clock)


def test_a_clock_that_is_set_back_right_is_believed_at_once(tmp_path: Path) -> None:
    clock = looked_at(tmp_path)
    clock.set(NOW_US + 300 * DAY_US)
    assert not is_trusted(tmp_path, clock)
    clock.advance(60)
    clock.set(NOW_US + 60 * 10**6)
    assert is_trusted(tmp_path, clock)


def test_a_memory_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    clock = looked_at(tmp_path)
    clock.set(NOW_US + 300 * DAY_US)
    (tmp_path / "clock.json").write_bytes(b"{")
    assert is_trusted(tmp_path, clock)


@pytest.mark.parametrize("damaged", [b"", b"{", b'{"trusted": "\xff"}'])
def test_a_damaged_memory_begins_anew_and_the_next_jump_is_noticed(
    tmp_path: Path, damaged: bytes
) -> None:
    clock = looked_at(tmp_path)
    (tmp_path / "clock.json").write_bytes(damaged)
    assert is_trusted(tmp_path, clock)
    clock.set(clock.now_us() + 300 * DAY_US)
    assert not is_trusted(tmp_path, clock)
