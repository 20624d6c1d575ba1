"""Noise does not pass the gate, however few the positives; what is worse than the champion for
certain stays out.
"""

from itertools import permutations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

import headrace
from headrace.arrays import Floats
from headrace.evaluate import (
    ModelPair,
    Predictions,
    average_precision_by_chance,
    chance_probability,
)
from headrace.registry import judge
from headrace.registry.gates import not_worse
from headrace.run.document import RunDocument
from headrace.spec import parse_gate


@pytest.mark.parametrize(("positives", "rows"), [(1, 4), (2, 5), (3, 7), (4, 4)])
def test_the_precision_of_a_random_order_is_the_mean_over_all_orders(
    positives: int, rows: int
) -> None:
    y = np.repeat([1, 0], [positives, rows - positives])
    scores = np.arange(rows, 0, -1)
    every = [average_precision_score(order, scores) for order in set(permutations(y.tolist()))]
    assert average_precision_by_chance(positives, rows) == pytest.approx(np.mean(every))


def pair(y: Floats, new: Floats, other: Floats, seed: int = 0) -> ModelPair:
    return ModelPair(Predictions("binary", y, new), Predictions("binary", y, other), seed)


def passes(positives: int, rows: int, metric: str, seed: int) -> bool:
    chance = np.random.default_rng([seed, positives, rows])
    y = np.zeros(rows)
    y[chance.choice(rows, positives, replace=False)] = 1
    both = pair(y, chance.random(rows), np.full(rows, positives / rows), seed)
    gate = parse_gate(f"test.{metric} > baseline")
    return judge([gate], {"test": {metric: 0.0}}, {"baseline": both})[0].passed


def test_noise_with_few_positives_does_not_pass() -> None:
    tried = [
        passes(positives, 225, "average_precision", seed)
        for positives in (1, 2, 3, 5, 10)
        for seed in range(30)
    ]
    assert np.mean(tried) <= 0.025


@pytest.mark.slow
def test_noise_passes_in_two_and_a_half_percent_of_2000_gates_at_most() -> None:
    """2,000 seeded gates for each metric, with 1 to 10 positives in 225 rows."""
    for metric in ("average_precision", "roc_auc"):
        tried = [
            passes(positives, 225, metric, seed)
            for positives in range(1, 11)
            for seed in range(200)
        ]
        assert len(tried) == 2000
        assert np.mean(tried) <= 0.025


def test_a_permutation_is_as_likely_as_it_says() -> None:
    y = np.repeat([0.0, 1.0], [40, 8])
    drawn = [Predictions("binary", y, np.random.default_rng(at).random(48)) for at in range(200)]
    found = [chance_probability("roc_auc", one) for one in drawn]
    assert 0.4 < np.mean(found) < 0.6
    assert np.mean(np.array(found) <= 0.1) < 0.17


def test_what_is_alike_within_an_owner_is_no_evidence() -> None:
    """Ten owners, whose rows share outcome and score by chance: rows dealt out one by one would
    call it certain.
    """
    chance = np.random.default_rng(3)
    owner = np.repeat(np.arange(10), 40)
    alone, together = [], []
    for seed in range(40):
        y = (chance.random(10) < 0.5).astype(float)[owner]
        scores = chance.random(10)[owner]
        if 0 < y.sum() < len(y):
            alone.append(chance_probability("roc_auc", Predictions("binary", y, scores), seed))
            together.append(
                chance_probability("roc_auc", Predictions("binary", y, scores, owner=owner), seed)
            )
    assert np.mean(np.array(alone) <= 0.025) > 0.2 > np.mean(np.array(together) <= 0.025)


def test_too_few_rows_of_a_class_are_told_with_what_is_needed() -> None:
    y = np.zeros(500)
    y[:3] = 1
    both = pair(y, y + 0.1, np.full(500, 0.006))
    gate = parse_gate("test.roc_auc > baseline")
    (found,) = judge([gate], {"test": {"roc_auc": 1.0}}, {"baseline": both})
    assert not found.passed
    assert "3 of 500, 5 are needed" in found.why


def test_worse_for_certain_is_refused_without_a_gate() -> None:
    chance = np.random.default_rng(1)
    y = (chance.random(600) < 0.4).astype(float)
    good, bad = y + chance.normal(size=600) * 0.5, y + chance.normal(size=600) * 1.5
    (worse,) = not_worse("roc_auc", pair(y, bad, good))
    (better,) = not_worse("roc_auc", pair(y, good, bad))
    (same,) = not_worse("roc_auc", pair(y, good, good + chance.normal(size=600) * 0.01))
    assert (worse.passed, better.passed, same.passed) == (False, True, True)
    assert not_worse("roc_auc", None) == [] == not_worse("roc_auc", "another target")


SPEC = """
name: s
goal: {{target: y, metric: roc_auc}}
data: {{source: t.parquet}}
split: {{by: random, test: 0.3}}
features: {{exclude: [{exclude}]}}
models: {{candidates: [linear], search: {{trials: 0}}}}
gates: [{gates}]
"""


def test_a_worse_model_does_not_replace_the_champion(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    x = chance.normal(size=3000)
    noise = x + chance.normal(size=3000)
    y = x + chance.normal(size=3000) * 0.3 > 0
    pl.DataFrame({"x": x, "noise": noise, "y": y}).write_parquet(tmp_path / "t.parquet")

    def run(exclude: str, gates: str = "") -> RunDocument:
        (tmp_path / "system.yaml").write_text(SPEC.format(exclude=exclude, gates=gates))
        return headrace.run(headrace.load(tmp_path)).document

    assert run("").promoted
    refused = run("x")
    assert not refused.promoted
    assert refused.before == 1
    told = run("x", '"test.roc_auc >= champion ± 1"')
    assert told.promoted  # it was told otherwise
