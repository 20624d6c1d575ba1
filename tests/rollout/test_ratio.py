"""A ratio of sums: its interval is that of a bootstrap over units."""

import numpy as np
import pytest

from headrace.arrays import Floats
from headrace.rollout.statistics.ratio import LEAST_REWARDED, RatioSums, compare_ratios


def draw(chance: np.random.Generator, rate: float, units: int = 2_000) -> tuple[Floats, Floats]:
    rows = chance.integers(1, 20, units).astype(np.float64)
    own = chance.beta(rate * 3, (1 - rate) * 3, units)
    return chance.binomial(rows.astype(int), own).astype(np.float64), rows


def test_the_interval_is_that_of_a_bootstrap() -> None:
    chance = np.random.default_rng(1)
    own, base = draw(chance, 0.24), draw(chance, 0.2)
    found = compare_ratios(RatioSums().add(*own), RatioSums().add(*base))
    assert found is not None
    lifts = []
    for _ in range(2_000):
        at, by = chance.integers(0, 2_000, (2, 2_000))
        lifts.append(
            own[0][at].sum() / own[1][at].sum() / (base[0][by].sum() / base[1][by].sum()) - 1
        )
    assert found.low == pytest.approx(np.quantile(lifts, 0.025), abs=0.02)
    assert found.high == pytest.approx(np.quantile(lifts, 0.975), abs=0.02)


def test_few_rewarded_units_show_nothing() -> None:
    value, rows = np.ones(LEAST_REWARDED - 1), np.ones(LEAST_REWARDED - 1)
    few = RatioSums().add(value, rows)
    enough = few.add(value, rows)
    assert compare_ratios(few, enough) is None
    assert compare_ratios(enough, enough) is not None
