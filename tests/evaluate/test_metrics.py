"""Every metric against scikit-learn or its definition, with weights."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from headrace.evaluate import Measure, compute_metrics, cost, higher_is_better, is_better
from headrace.evaluate.curves import curves
from headrace.evaluate.predictions import Predictions
from headrace.spec import list_metrics


def binary(seed: int, rows: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    scores = np.round(chance.random(rows), 2)  # with ties
    y = (chance.random(rows) < scores).astype(np.float64)
    y[:2] = 0, 1
    return y, scores, chance.integers(1, 5, rows).astype(np.float64)


@given(seed=st.integers(0, 10_000), weighted=st.booleans())
def test_binary_equals_scikit_learn(seed: int, weighted: bool) -> None:
    y, scores, weight = binary(seed)
    w: Any = weight if weighted else None
    found = compute_metrics(Predictions("binary", y, scores, w, threshold=0.4))
    decided = scores >= 0.4
    inside = np.clip(scores, np.finfo(np.float32).eps, 1 - np.finfo(np.float32).eps)
    base = np.average(y, weights=w)
    log_loss = sk.log_loss(y, inside, sample_weight=w)
    expected = {
        "roc_auc": sk.roc_auc_score(y, scores, sample_weight=w),
        "average_precision": sk.average_precision_score(y, scores, sample_weight=w),
        "log_loss": log_loss,
        "normalized_entropy": log_loss / sk.log_loss(y, np.full(len(y), base), sample_weight=w),
        "brier": sk.brier_score_loss(y, scores, sample_weight=w),
        "calibration_ratio": np.average(scores, weights=w) / base,
        "precision": sk.precision_score(y, decided, sample_weight=w, zero_division=0.0),
        "recall": sk.recall_score(y, decided, sample_weight=w),
        "f1": sk.f1_score(y, decided, sample_weight=w),
        "accuracy": sk.accuracy_score(y, decided, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, decided, sample_weight=w),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert set(found) - set(expected) == {"calibration_error"}


def test_calibration_error_is_the_weighted_gap_of_ten_equal_bins() -> None:
    y, scores, weight = binary(3)
    order = np.argsort(scores, kind="stable")
    gaps = [
        abs(np.sum(weight[rows] * (y[rows] - scores[rows]))) for rows in np.array_split(order, 10)
    ]
    assert compute_metrics(Predictions("binary", y, scores, weight))[
        "calibration_error"
    ] == pytest.approx(sum(gaps) / weight.sum())


@given(seed=st.integers(0, 10_000), weighted=st.booleans(), classes=st.integers(4, 8))
def test_multiclass_equals_scikit_learn(seed: int, weighted: bool, classes: int) -> None:
    chance = np.random.default_rng(seed)
    scores = chance.dirichlet(np.ones(classes), 150)
    y = np.array([chance.choice(classes, p=p) for p in scores]).astype(np.float64)
    w: Any = chance.random(150) + 0.1 if weighted else None
    found, chosen = compute_metrics(Predictions("multiclass", y, scores, w)), scores.argmax(axis=1)
    labels = list(range(classes))
    eps = np.finfo(np.float32).eps
    inside = np.clip(scores, eps, 1 - eps)
    expected = {
        "log_loss": sk.log_loss(
            y, inside / inside.sum(axis=1, keepdims=True), sample_weight=w, labels=labels
        ),
        "accuracy": sk.accuracy_score(y, chosen, sample_weight=w),
        "macro_f1": sk.f1_score(y, chosen, average="macro", sample_weight=w),
        "weighted_f1": sk.f1_score(y, chosen, average="weighted", sample_weight=w),
        "top_3_accuracy": sk.top_k_accuracy_score(y, scores, k=3, sample_weight=w, labels=labels),
    }
    assert found == pytest.approx(expected, rel=1e-9)


@given(seed=st.integers(0, 10_000), weighted=st.booleans())
def test_regression_equals_scikit_learn(seed: int, weighted: bool) -> None:
    chance = np.random.default_rng(seed)
    y = chance.normal(size=100) * 10 + 1e4
    scores = y + chance.normal(size=100)
    w: Any = chance.random(100) + 0.1 if weighted else None
    expected = {
        "rmse": sk.root_mean_squared_error(y, scores, sample_weight=w),
        "mae": sk.mean_absolute_error(y, scores, sample_weight=w),
        "mape": sk.mean_absolute_percentage_error(y, scores, sample_weight=w),
        "r2": sk.r2_score(y, scores, sample_weight=w),
        "pinball_10": sk.mean_pinball_loss(y, scores, alpha=0.1, sample_weight=w),
        "pinball_90": sk.mean_pinball_loss(y, scores, alpha=0.9, sample_weight=w),
    }
    assert compute_metrics(Predictions("regression", y, scores, w)) == pytest.approx(
        expected, rel=1e-7
    )


@given(seed=st.integers(0, 1000))
def test_a_row_of_weight_two_is_the_row_twice(seed: int) -> None:
    y, scores, weight = binary(seed, 60)
    twice = np.repeat(np.arange(60), weight.astype(int))
    weighed, repeated = (
        compute_metrics(Predictions("binary", y, scores, weight)),
        compute_metrics(Predictions("binary", y[twice], scores[twice])),
    )
    del (
        weighed["calibration_error"],
        repeated["calibration_error"],
    )  # bins hold equally many rows, whatever they weigh
    assert weighed == pytest.approx(repeated)


def test_what_is_not_defined_is_nan() -> None:
    one_class = compute_metrics(Predictions("binary", np.zeros(4), np.array([0.1, 0.2, 0.3, 0.4])))
    undefined = {name for name, value in one_class.items() if math.isnan(value)}
    ranked = {"roc_auc", "average_precision"}
    assert undefined == ranked | {"normalized_entropy", "calibration_ratio", "balanced_accuracy"}
    assert math.isnan(compute_metrics(Predictions("regression", np.ones(3), np.ones(3)))["r2"])


def test_a_sure_mistake_is_not_infinite() -> None:
    assert (
        compute_metrics(Predictions("binary", np.array([0.0, 1.0]), np.array([1.0, 0.0])))[
            "log_loss"
        ]
        < 20
    )


def test_every_metric_of_the_spec_is_there() -> None:
    y, scores, _ = binary(1)
    assert list(compute_metrics(Predictions("binary", y, scores))) == list(list_metrics("binary"))
    assert Measure(Predictions("binary", y, scores), ["f1"])(np.ones(len(y))) == {
        "f1": compute_metrics(Predictions("binary", y, scores))["f1"]
    }


def test_directions() -> None:
    assert is_better("roc_auc", 0.8, 0.7)
    assert is_better("rmse", 1.0, 2.0)
    assert is_better("calibration_ratio", 1.1, 0.8)
    assert not is_better("roc_auc", math.nan, 0.7)
    assert not is_better("roc_auc", 0.7, math.nan)
    assert higher_is_better("f1")
    assert not higher_is_better("pinball_10")
    assert cost("calibration_ratio", 2.0) == pytest.approx(cost("calibration_ratio", 0.5))


def test_curves_are_short_and_complete() -> None:
    y, scores, _ = binary(5, 5000)
    found = curves(Predictions("binary", y, scores, threshold=0.3), 2)
    assert found.confusion is not None
    assert found.roc is not None
    assert found.calibration is not None
    assert sum(sum(row) for row in found.confusion) == 5000
    assert len(found.roc) <= 120
    assert found.confusion[1][1] == int(((scores >= 0.3) & (y == 1)).sum())
    assert found.roc[0] == [0, 0]
    assert found.roc[-1] == [1, 1]
    assert sum(bin[2] for bin in found.calibration) == 5000
