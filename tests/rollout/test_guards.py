"""Guards stop what fails, soon, and let pass what does not."""

import numpy as np
import pytest

from headrace.rollout.statistics.guards import Rows, judge_rows, judge_seconds


def test_a_challenger_that_fails_on_every_row_is_found_within_20() -> None:
    assert judge_rows(Rows(20, 20), 0.001, 0.05) == "beyond"


def test_no_failure_is_shown_to_be_within_after_some_rows_for_the_margin() -> None:
    assert judge_rows(Rows(2_000, 0), 0.001, 0.05) == "open"
    assert judge_rows(Rows(4_500, 0), 0.001, 0.05) == "within"
    assert judge_rows(Rows(0, 0), 0.001, 0.05) == "open"


def test_a_rate_within_the_margin_is_rarely_beyond_it_however_often_one_looks() -> None:
    chance = np.random.default_rng(1)
    stopped = 0
    for _ in range(200):
        failed = np.cumsum(chance.random(5_000) < 0.02)
        looks = range(50, 5_001, 50)
        found = [judge_rows(Rows(at, int(failed[at - 1])), 0.02, 0.05) for at in looks]
        stopped += "beyond" in found
    assert stopped <= 10


@pytest.mark.parametrize(("rate", "found"), [(0.02, "beyond"), (0.0, "within")])
def test_a_rate_beyond_the_margin_is_found(rate: float, found: str) -> None:
    assert judge_rows(Rows(20_000, int(rate * 20_000)), 0.001, 0.05) == found


def test_a_second_that_is_slow_for_both_arms_cancels() -> None:
    zero = np.array([0.0])
    assert judge_seconds(zero, np.array([5_000.0]), 0.01, 0.05) == "within"
    slower = np.array([0.9, 1.0])
    assert judge_seconds(slower, np.array([5.0, 5.0]), 0.01, 0.05) == "beyond"
    assert judge_seconds(np.zeros(0), np.zeros(0), 0.01, 0.05) == "open"
