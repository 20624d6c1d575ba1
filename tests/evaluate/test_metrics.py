import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.evaluate import better, curves, metrics

pairs = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=40)


@given(pairs=pairs)
def test_binary_metrics_equal_their_definitions(pairs: list[tuple[int, int]]) -> None:
    y = np.array([float(label) for label, _ in pairs])
    scores = np.array([score / 20 for _, score in pairs])
    found = metrics("binary", y, scores)
    positives, negatives = scores[y == 1], scores[y == 0]
    if len(positives) and len(negatives):
        wins = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
        assert found["roc_auc"] == pytest.approx(wins / len(positives) / len(negatives))
    else:
        assert math.isnan(found["roc_auc"]) and math.isnan(found["average_precision"])
    step = float(np.finfo(np.float32).eps)
    held = [min(max(score, step), 1 - step) for score in scores]
    losses = [-math.log(p if label else 1 - p) for label, p in zip(y, held, strict=True)]
    assert found["log_loss"] == pytest.approx(sum(losses) / len(losses))
    assert found["brier"] == pytest.approx(sum((p - label) ** 2 for label, p in zip(y, scores, strict=True)) / len(y))
    hits = sum(p >= 0.5 and label == 1 for label, p in zip(y, scores, strict=True))
    assert found["f1"] == pytest.approx(2 * hits / max(sum(scores >= 0.5) + sum(y), 1))


def test_multiclass_and_regression() -> None:
    y = np.array([0.0, 1.0, 2.0, 2.0])
    scores = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1]])
    found = metrics("multiclass", y, scores)
    assert found["accuracy"] == 0.75
    assert found["log_loss"] == pytest.approx(-np.log([0.7, 0.4, 0.8, 0.1]).mean())
    assert found["macro_f1"] == pytest.approx(np.mean([2 / 3, 1, 2 / 3]))
    found = metrics("regression", np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
    assert found["rmse"] == pytest.approx(math.sqrt(5 / 3)) and found["mae"] == pytest.approx(1.0)
    assert found["r2"] == pytest.approx(1 - 5 / (42 / 9))
    assert math.isnan(metrics("regression", np.ones(3), np.ones(3))["r2"])


def test_directions() -> None:
    assert better("roc_auc", 0.8, 0.7) and better("rmse", 1, 2) and not better("log_loss", float("nan"), 1)


def test_curves_are_short_and_true() -> None:
    chance = np.random.default_rng(0)
    y = (chance.random(5000) < 0.3).astype(float)
    scores = np.clip(chance.normal(0.3 + 0.3 * y, 0.2), 0, 1)
    found = curves("binary", y, scores, ["no", "yes"])
    assert len(found["roc"]) <= 120 and found["roc"][0] == [0, 0] and found["roc"][-1] == [1, 1]
    area = np.trapezoid([b for _, b in found["roc"]], [a for a, _ in found["roc"]])
    assert area == pytest.approx(metrics("binary", y, scores)["roc_auc"], abs=0.005)
    assert sum(rows for _, _, rows in found["calibration"]) == 5000
    assert np.sum(found["confusion"]) == 5000 and found["confusion"][1][1] == int(((scores >= 0.5) & (y == 1)).sum())
