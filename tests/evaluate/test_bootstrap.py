"""Intervals against SciPy's bootstrap and against their promise: they cover the truth about as
often as they say.
"""

import numpy as np
import pytest
from msgspec import structs
from scipy import stats

from headrace.arrays import Floats
from headrace.evaluate import compute_paired_interval
from headrace.evaluate.bootstrap import draw_resamples, intervals
from headrace.evaluate.predictions import Predictions


def pair(y: Floats, a: Floats, b: Floats) -> tuple[Predictions, Predictions]:
    return Predictions("regression", y, a), Predictions("regression", y, b)


def test_the_interval_of_a_mean_is_scipy_s() -> None:
    chance = np.random.default_rng(1)
    y = chance.normal(size=300)
    scores = y + chance.normal(size=300)
    low, high = intervals(Predictions("regression", y, scores), ["mae"], 3)["mae"]
    reference = stats.bootstrap(
        (np.abs(y - scores),),
        np.mean,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(2),
    ).confidence_interval
    spread = reference.high - reference.low
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.1 * spread)


def test_paired_intervals_cover_the_true_difference() -> None:
    """Two models with the same error: 0 lies outside in about one of twenty tables."""
    outside = 0
    for seed in range(100):
        chance = np.random.default_rng(seed)
        y = chance.normal(size=120)
        a, b = y + chance.normal(size=120), y + chance.normal(size=120)
        low, high = compute_paired_interval("rmse", *pair(y, a, b), seed)
        outside += not low <= 0 <= high
    assert outside <= 14  # the binomial's upper thousandth at 5 %


def test_pairs_are_judged_on_the_same_draws() -> None:
    chance = np.random.default_rng(4)
    y = chance.normal(size=200) * 100
    a = y + chance.normal(size=200) * 10
    low, high = compute_paired_interval("mae", *pair(y, a, a + np.sign(a - y) * 0.01))
    assert (low, high) == pytest.approx((0.01, 0.01))


def test_rows_of_one_owner_are_drawn_together() -> None:
    owner = np.repeat(np.arange(20), 5)
    predictions = Predictions("regression", np.zeros(100), np.zeros(100), owner=owner)
    for weight in draw_resamples(predictions, seed=1, count=20):
        assert (weight.reshape(20, 5) == weight.reshape(20, 5)[:, :1]).all()
        assert weight[::5].sum() == 20


def test_owners_widen_the_interval() -> None:
    chance = np.random.default_rng(2)
    owner = np.repeat(np.arange(40), 10)
    y = np.zeros(400)
    scores = np.repeat(chance.normal(size=40), 10)
    predictions = Predictions("regression", y, scores)
    alone, together = (
        intervals(one, ["mae"])["mae"]
        for one in (predictions, structs.replace(predictions, owner=owner))
    )
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])
