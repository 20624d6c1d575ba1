"""Calibration against scikit-learn, in the graph against itself, and only where it helps."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from headrace.features import Graph, open_session
from headrace.models import calibrate
from headrace.spec import Calibration, Task
from headrace.tasks import find_task
from headrace.train import TOLERANCE
from headrace.train.calibration import choose_calibration


def distorted(rows: int, seed: int, slope: float) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    raw = chance.normal(size=rows) * 1.5
    y = (chance.random(rows) < 1 / (1 + np.exp(-raw))).astype(np.float64)
    return y, 1 / (1 + np.exp(-slope * raw - 0.3 * (slope != 1)))


def test_sigmoid_is_logistic_regression_on_log_odds() -> None:
    y, scores = distorted(4000, 1, 3.0)
    found = calibrate.fit("sigmoid", "binary", y, scores)
    reference = LogisticRegression(C=1e12).fit(find_task("binary").to_raw(scores)[:, None], y)
    assert (found.slope, found.intercept) == pytest.approx(
        (reference.coef_[0, 0], reference.intercept_[0]), rel=0.01, abs=0.005
    )


def test_sigmoid_is_that_of_platt_where_rows_are_few() -> None:
    y, scores = distorted(40, 1, 3.0)
    raw = find_task("binary").to_raw(scores)
    slope, intercept = _sigmoid_calibration(raw, y)
    found = calibrate.fit("sigmoid", "binary", y, scores)
    assert (found.slope, found.intercept) == pytest.approx(
        (-slope, -intercept), rel=0.01, abs=0.005
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(20, 400),
    method=st.sampled_from(["sigmoid", "isotonic"]),
)
def test_the_last_digit_of_a_score_decides_nothing(seed: int, rows: int, method: str) -> None:
    chance = np.random.default_rng(seed)
    y = (np.arange(rows) % 2).astype(np.float64)
    raw = (
        np.where(y, 1, -1) * np.abs(chance.normal(size=rows)) ** 3
    )  # some are next to each other, and apart
    scores = 1 / (1 + np.exp(-raw))
    found = calibrate.fit(method, "binary", y, scores)
    other = calibrate.apply(found, "binary", 1 / (1 + np.exp(-raw * (1 + 1e-7) - 1e-7)))
    assert np.abs(other - calibrate.apply(found, "binary", scores)).max() < TOLERANCE


def test_classes_that_a_score_parts_are_not_stretched_without_end() -> None:
    y = np.repeat([0.0, 1.0, 2.0], 30)
    scores = np.full((90, 3), 0.1) + 0.7 * np.eye(3)[y.astype(int)]
    found = calibrate.fit("sigmoid", "multiclass", y, scores)
    assert calibrate.apply(found, "multiclass", scores)[0, 0] == pytest.approx(31 / 33, abs=0.01)


def test_isotonic_follows_scikit_learn() -> None:
    y, scores = distorted(5000, 2, 4.0)
    found = calibrate.fit("isotonic", "binary", y, scores)
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, y).predict(scores)
    assert np.mean(np.abs(calibrate.apply(found, "binary", scores) - expected)) < 0.02
    assert (np.diff(found.y) >= 0).all()
    assert found.y[0] > 0
    assert found.y[-1] < 1


def in_graph(calibration: Calibration, task: Task, scores: np.ndarray) -> np.ndarray:
    graph = Graph()
    made = graph.input("doubles", np.float64, scores.shape[1])
    made = calibrate.nodes(graph, find_task(task).unlink(graph, made), calibration)
    if calibration.method == "sigmoid":
        made = find_task(task).link(graph, made)
    metadata: dict[str, Any] = {"columns": {"doubles": ["a"]}}
    model = graph.build({made: ("p", np.float64, scores.shape[1])}, metadata).SerializeToString()
    return np.asarray(open_session(model).run(["p"], {"doubles": scores})[0])


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_the_graph_computes_the_same(method: str) -> None:
    y, scores = distorted(3000, 3, 2.5)
    found = calibrate.fit(method, "binary", y, scores)
    edges = np.concatenate([scores, [0.0, 1.0, 1e-9, 1 - 1e-7, 0.5]])
    expected = calibrate.apply(found, "binary", edges)
    assert in_graph(found, "binary", edges[:, None])[:, 0] == pytest.approx(expected, abs=1e-9)


def test_a_temperature_for_several_classes() -> None:
    chance = np.random.default_rng(4)
    honest = chance.dirichlet(np.ones(4), 4000)
    y = np.array([chance.choice(4, p=p) for p in honest]).astype(np.float64)
    sharp = honest**3 / (honest**3).sum(axis=1, keepdims=True)
    found = calibrate.fit("sigmoid", "multiclass", y, sharp)
    assert found.slope == pytest.approx(1 / 3, abs=0.03)
    assert found.intercept == 0
    expected = calibrate.apply(found, "multiclass", sharp)
    assert in_graph(found, "multiclass", sharp) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_scores_that_come_true_are_left_alone(task: Task) -> None:
    y, scores = distorted(3000, 5, 1.0)
    assert choose_calibration(task, y, scores, None, 7)[0] is None


def test_distorted_scores_are_calibrated_and_few_rows_are_not_enough() -> None:
    y, scores = distorted(3000, 6, 3.0)
    found, why = choose_calibration("binary", y, scores, None, 7)
    assert found is not None
    assert "improves" in why
    before, after = (
        calibrate.losses(y, scores).mean(),
        calibrate.losses(y, calibrate.apply(found, "binary", scores)).mean(),
    )
    assert after < before - 0.02
    assert choose_calibration("binary", y[:100], scores[:100], None, 7)[0] is None
