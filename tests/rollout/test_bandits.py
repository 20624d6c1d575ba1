"""Bandits earn what theory promises, also where outcomes come late."""

import numpy as np
import pytest

from headrace.arrays import Floats
from headrace.rollout.policies.linucb import LinUcb
from headrace.rollout.policies.policy import Feedback, with_floor
from headrace.rollout.policies.thompson import Thompson

RATES = np.array([0.05, 0.04, 0.03])
COUNT, EVERY = 100_000, 200


def regrets(seed: int, delay: int) -> Floats:
    """The regret of each prediction; outcomes are known `delay` predictions later."""
    chance = np.random.default_rng(seed)
    policy = Thompson()
    state = policy.start(3, 0)
    arms = np.zeros(COUNT, np.int64)
    values = np.zeros(COUNT)
    known = 0
    for start in range(0, COUNT, EVERY):
        closed = max(start - delay, 0)
        part = slice(known, closed)
        none = np.zeros((closed - known, 0))
        state = policy.update(state, Feedback(arms[part], values[part], none))
        known = closed
        weights = with_floor(policy.weigh(state, (), seed * COUNT + start), 0.0)
        drawn = chance.choice(3, EVERY, p=weights)
        arms[start : start + EVERY] = drawn
        values[start : start + EVERY] = chance.random(EVERY) < RATES[drawn]
    return np.asarray(RATES[0] - RATES[arms])


@pytest.mark.parametrize("seeds", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_regret_flattens(seeds: int) -> None:
    found = np.mean([regrets(seed, 0) for seed in range(seeds)], axis=0)
    assert found[COUNT // 2 :].sum() <= found[: COUNT // 2].sum() / 4


@pytest.mark.parametrize("seeds", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_only_closed_outcomes_update_so_that_a_delay_costs_little(seeds: int) -> None:
    found = [regrets(seed, 10_000).sum() for seed in range(seeds)]
    assert np.mean(found) <= 160


def test_linucb_earns_most_of_what_the_best_single_arm_misses() -> None:
    """Two arms, each best for one half of the rows, by their context."""
    chance = np.random.default_rng(3)
    policy = LinUcb()
    state = policy.start(2, 1)
    earned = best = alone = 0.0
    for _ in range(40):
        context = chance.choice([-1.0, 1.0], 200)
        solved = policy.solve(state)
        arms = np.array([solved.best(np.array([1.0, x]), 1.0) for x in context])
        rates = 0.3 + 0.2 * np.where(arms == 1, context, -context)
        values = (chance.random(200) < rates).astype(np.float64)
        state = policy.update(state, Feedback(arms, values, context[:, None]))
        earned += rates.sum()
        best += 0.5 * 200
        alone += 0.3 * 200
    assert (earned - alone) / (best - alone) >= 0.8
