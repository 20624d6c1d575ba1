"""Every policy that moves shares keeps one contract."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.rollout.policies.epsilon import EpsilonGreedy
from headrace.rollout.policies.linucb import LinUcb
from headrace.rollout.policies.policy import Feedback, Policy, with_floor
from headrace.rollout.policies.thompson import Thompson

POLICIES: dict[str, Callable[[], Policy]] = {
    "thompson": Thompson,
    "epsilon": lambda: EpsilonGreedy(0.1),
    "linucb": LinUcb,
}
WIDTH = 2


def draw_feedback(seed: int, count: int, arms: int, binary: bool) -> Feedback:
    chance = np.random.default_rng(seed)
    value = chance.random(count)
    if binary:
        value = (value < 0.3).astype(np.float64)
    return Feedback(chance.integers(0, arms, count), value, chance.normal(size=(count, WIDTH)))


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
@settings(max_examples=15)
@given(st.integers(0, 99), st.integers(2, 5), st.booleans(), st.sampled_from([0.0, 0.02, 0.1]))
def test_propensities_sum_to_1_and_keep_the_floor(
    make: Callable[[], Policy], seed: int, arms: int, binary: bool, floor: float
) -> None:
    policy = make()
    state = policy.start(arms, WIDTH)
    state = policy.update(state, draw_feedback(seed, 40, arms, binary))
    weights = with_floor(policy.weigh(state, (0.5, -1.0), seed), floor)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert weights.min() >= floor - 1e-12
    # whole thousandths: what is logged is exact
    assert np.allclose(weights * 1000, np.round(weights * 1000), atol=1e-9)


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("binary", [True, False])
def test_a_batch_says_the_same_as_one_by_one(make: Callable[[], Policy], binary: bool) -> None:
    policy = make()
    whole = draw_feedback(1, 50, 3, binary)
    batch = policy.update(policy.start(3, WIDTH), whole)
    single = policy.start(3, WIDTH)
    for at in range(50):
        part = slice(at, at + 1)
        single = policy.update(
            single, Feedback(whole.arm[part], whole.value[part], whole.context[part])
        )
    context = (0.3, 0.1)
    assert policy.weigh(single, context, 5) == pytest.approx(
        policy.weigh(batch, context, 5), abs=0.01
    )


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
def test_a_state_is_json_and_weights_follow_from_it_and_the_seed(
    make: Callable[[], Policy],
) -> None:
    policy = make()
    state = policy.update(policy.start(3, WIDTH), draw_feedback(2, 30, 3, True))
    again = json.loads(json.dumps(state))
    assert (policy.weigh(again, (1.0, 2.0), 7) == policy.weigh(state, (1.0, 2.0), 7)).all()


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
def test_the_better_arm_gets_more(make: Callable[[], Policy]) -> None:
    policy = make()
    state = policy.start(2, WIDTH)
    arm = np.tile([0, 1], 500)
    value = np.where(arm == 1, 0.8, 0.2)
    state = policy.update(state, Feedback(arm, value, np.zeros((1000, WIDTH))))
    weights = policy.weigh(state, (0.0, 0.0), 1)
    assert weights[1] > 0.9
