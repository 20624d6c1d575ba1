"""What a plan promises is kept: by simulated tests that the plan has not seen."""

import numpy as np
import pytest
from scipy.stats import invgauss

from headrace.loop.plan import Arrivals
from headrace.rollout.statistics.compare import Plan
from headrace.rollout.statistics.forecast import find_power, find_units
from headrace.rollout.statistics.plan import (
    Sample,
    choose_most,
    expect_growth,
    find_smallest_effect,
    simulate_units,
)
from headrace.rollout.statistics.wealth import Odds, log_wealth_path
from tests.rollout.simulate import ALPHA, draw_stream, first_crossing, score_stream

HALF = Odds(0.5, 0.5)
PLAN = Plan(0.2, True, (0.5, 0.5))


def test_the_planned_power_is_met() -> None:
    rate, lift, power = 0.3, 0.4, 0.8
    sample = Sample((np.arange(1_000) < 300).astype(np.float64))
    plan = Plan(lift, True, HALF)
    most = choose_most(sample, plan, ALPHA / 2, power)
    taken = simulate_units(sample, plan, lift, ALPHA / 2, most, runs=1_000)
    units = int(np.quantile(taken, power, method="higher"))

    chance = np.random.default_rng(5)
    found = 0
    for _ in range(1_000):
        stream = draw_stream(chance, units, rate, lift=lift)
        path = log_wealth_path(score_stream(stream, lift), stream.odds, "above")
        found += first_crossing(path, ALPHA / 2) is not None
    assert found / 1_000 == pytest.approx(power, abs=0.05)


def test_the_smallest_effect_is_found_with_the_power_asked_for() -> None:
    sample = Sample((np.arange(1_000) < 200).astype(np.float64))
    smallest = find_smallest_effect(sample, PLAN, 20_000, ALPHA / 2, 0.8)
    assert smallest is not None
    growth = expect_growth(sample, HALF, smallest)
    assert find_power(growth, 20_000, ALPHA / 2) == pytest.approx(0.8, abs=0.03)
    assert find_smallest_effect(sample, PLAN, 1, ALPHA / 2, 0.8) is None


def test_power_is_that_of_a_random_walk_with_drift() -> None:
    chance = np.random.default_rng(2)
    growth, units = 0.01, 600
    steps = growth + np.sqrt(2 * growth) * chance.normal(size=(20_000, units))
    crossed = (np.cumsum(steps, axis=1) >= np.log(2 / 0.025)).any(axis=1).mean()
    assert find_power(growth, units, 0.025) == pytest.approx(crossed, abs=0.04)


@pytest.mark.parametrize("power", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("growth", [1e-6, 0.01, 2.0])
def test_units_to_a_verdict_are_those_of_an_inverse_gaussian(growth: float, power: float) -> None:
    level = np.log(2 / 0.025)
    mean, shape = level / growth, level * level / (2 * growth)
    expected = invgauss.ppf(power, mean / shape, scale=shape)
    assert find_units(growth, 0.025, power) == pytest.approx(expected, rel=2e-3)


def test_new_units_become_fewer_as_users_return() -> None:
    """300 users, of whom one comes each second: a day later nobody is new."""
    chance = np.random.default_rng(3)
    visits = chance.integers(0, 300, 2_000)
    _, first = np.unique(visits, return_index=True)
    arrivals = Arrivals(np.sort(first))
    assert arrivals.count(1_000) == len(np.unique(visits[:1_001]))
    assert arrivals.count(4_000) < 400
    for units in (10, 250):
        assert arrivals.count(arrivals.time_of(units)) == pytest.approx(units, abs=1)
