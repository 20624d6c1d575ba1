"""Thresholds against a loop over every cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from headrace.evaluate import pick_threshold
from headrace.evaluate.predictions import Predictions
from headrace.evaluate.thresholds import trade_off
from headrace.spec import DecisionSpec


def data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    scores = np.round(chance.random(80) * 0.99, 2).astype(np.float32).astype(np.float64)
    y = (chance.random(80) < scores).astype(np.float64)
    y[:2] = 0, 1
    return y, scores


def cuts(scores: np.ndarray) -> list[np.ndarray]:
    return [scores >= cut for cut in np.unique(scores)]


@given(seed=st.integers(0, 1000))
def test_f1(seed: int) -> None:
    y, scores = data(seed)
    threshold = pick_threshold(Predictions("binary", y, scores), DecisionSpec(by="f1"))
    assert f1_score(y, scores >= threshold) == pytest.approx(
        max(f1_score(y, cut) for cut in cuts(scores))
    )


@given(seed=st.integers(0, 1000), false_negative=st.sampled_from([0.0, 0.5, 1.0, 5.0, 50.0]))
def test_cost(seed: int, false_negative: float) -> None:
    y, scores = data(seed)

    def total(yes: np.ndarray) -> float:
        return float((yes & (y == 0)).sum() + false_negative * (~yes & (y == 1)).sum())

    threshold = pick_threshold(
        Predictions("binary", y, scores), DecisionSpec(by="cost", false_negative=false_negative)
    )
    nobody = total(np.zeros(80, bool))
    found = total(scores >= threshold)
    assert found == pytest.approx(min(nobody, *(total(cut) for cut in cuts(scores))))


@given(seed=st.integers(0, 1000), recall=st.sampled_from([0.2, 0.5, 0.8, 1.0]))
def test_precision_at_recall(seed: int, recall: float) -> None:
    y, scores = data(seed)
    yes = scores >= pick_threshold(
        Predictions("binary", y, scores), DecisionSpec(by="recall", recall=recall)
    )
    allowed = [cut for cut in cuts(scores) if recall_score(y, cut) >= recall - 1e-12]
    assert recall_score(y, yes) >= recall - 1e-12
    assert precision_score(y, yes) == pytest.approx(max(precision_score(y, cut) for cut in allowed))


@given(seed=st.integers(0, 1000), rate=st.sampled_from([0.05, 0.3, 0.9]))
def test_rate(seed: int, rate: float) -> None:
    y, scores = data(seed)
    yes = scores >= pick_threshold(
        Predictions("binary", y, scores), DecisionSpec(by="rate", rate=rate)
    )
    assert abs(yes.mean() - rate) == pytest.approx(
        min(abs(cut.mean() - rate) for cut in cuts(scores))
    )


def test_a_stated_threshold_is_kept_and_the_table_tells_what_it_gives() -> None:
    y, scores = data(1)
    assert pick_threshold(Predictions("binary", y, scores), DecisionSpec(threshold=0.25)) == 0.25
    table = trade_off(Predictions("binary", y, scores), DecisionSpec(false_negative=3.0))
    for row in table:
        yes = scores >= row["threshold"] - 1e-6
        assert row["rate"] == pytest.approx(yes.mean(), abs=1e-6)
        assert row["recall"] == pytest.approx(recall_score(y, yes), abs=1e-6)
        cost = ((yes & (y == 0)).sum() + 3 * (~yes & (y == 1)).sum()) / len(y)
        assert row["cost"] == pytest.approx(cost, abs=1e-6)
