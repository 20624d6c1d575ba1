"""Two classes: log odds and probabilities, in arrays and in a graph, and what is said of them."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit

from headrace.arrays import Floats
from headrace.errors import InputError
from headrace.tasks import binary
from tests.tasks.graphs import apply_link, run_graph

raw_of = arrays(np.float64, st.integers(1, 9), elements=st.floats(-25, 25))
scores_of = arrays(np.float64, st.integers(1, 9), elements=st.floats(0, 1))


@given(raw_of)
def test_scores_are_the_logistic_of_log_odds_and_back(raw: Floats) -> None:
    scores = binary.to_scores(raw)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-raw)), rtol=1e-14)
    np.testing.assert_allclose(binary.to_raw(scores), raw, atol=2e-5)


def test_certain_scores_have_finite_log_odds() -> None:
    found = binary.to_raw(np.array([0.0, 1.0]))
    np.testing.assert_allclose(found, logit([1e-12, 1 - 1e-12]), rtol=1e-12)


def test_a_graph_links_as_arrays_do() -> None:
    raw = np.linspace(-30, 30, 61)[:, None]
    np.testing.assert_allclose(apply_link(binary.link, raw, 1), expit(raw), rtol=1e-9, atol=1e-15)
    scores = np.concatenate([[0.0, 1.0], expit(np.linspace(-20, 20, 41))])[:, None]
    np.testing.assert_allclose(
        apply_link(binary.unlink, scores, 1), binary.to_raw(scores), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("classes", [["no", "yes"], [False, True], [3, 7]])
def test_a_decision_is_the_class_that_the_threshold_picks(classes: list[Any]) -> None:
    scores = np.array([[0.0], [0.25], [0.5], [0.75]])
    found = run_graph(
        scores, np.float32, lambda graph, raw: binary.outputs(graph, raw, classes, 0.5)
    )
    assert list(found) == ["prediction", "decision"]
    assert found["prediction"].tolist() == scores.tolist()
    assert found["decision"][:, 0].tolist() == [classes[at] for at in (0, 0, 1, 1)]
    assert binary.decide(scores[:, 0], 0.5).tolist() == [0, 0, 1, 1]


def test_without_a_threshold_there_is_no_decision() -> None:
    scores = np.array([[0.25]])
    found = run_graph(
        scores, np.float32, lambda graph, raw: binary.outputs(graph, raw, ["no", "yes"], None)
    )
    assert list(found) == ["prediction"]


@given(scores=scores_of, weights=st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)))
def test_the_shift_of_shares_is_bayes_rule(scores: Floats, weights: tuple[float, float]) -> None:
    inside = 1e-6 + scores * (1 - 2e-6)
    shifted = binary.to_scores(binary.to_raw(inside) + binary.shift_of_shares(np.array(weights)))
    expected = inside * weights[1] / (inside * weights[1] + (1 - inside) * weights[0])
    np.testing.assert_allclose(shifted, expected, rtol=1e-9)


@given(scores=scores_of, threshold=st.floats(0, 1), data=st.data())
def test_treatments_are_the_rates_of_the_confusion_matrix(
    scores: Floats, threshold: float, data: st.DataObject
) -> None:
    size = len(scores)
    y = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=size, max_size=size)))
    pairs = [(score >= threshold, bool(one)) for score, one in zip(scores, y, strict=True)]
    found = {
        name: [bool(value) for value, counts in zip(values, mask, strict=True) if counts]
        for name, (values, mask) in binary.treatments(y, scores, threshold).items()
    }
    assert tuple(found) == binary.TREATMENTS
    assert found["selection_rate"] == [yes for yes, _ in pairs]
    assert found["true_positive_rate"] == [yes for yes, real in pairs if real]
    assert found["false_positive_rate"] == [yes for yes, real in pairs if not real]
    assert found["accuracy"] == [yes == real for yes, real in pairs]
    assert binary.rarer_rows(y) == min(list(y).count(0.0), list(y).count(1.0))
    assert binary.target_outputs(y, 2).tolist() == [[one] for one in y]


@pytest.mark.parametrize(
    ("positives", "metric", "why"),
    [
        (4, "average_precision", "only 4.00% of the rows are positive"),
        (5, "roc_auc", "5.0% of the rows are positive: neither class is rare"),
        (50, "roc_auc", "50.0% of the rows"),
    ],
)
def test_a_rare_event_is_judged_by_the_head_of_the_ranking(
    positives: int, metric: str, why: str
) -> None:
    values = pl.Series(["yes"] * positives + ["no"] * (100 - positives))
    found, said = binary.infer_metric(values, "yes")
    assert found == metric
    assert said.startswith(why)


def test_a_target_of_other_than_two_values_is_told() -> None:
    values = pl.Series(["a", "b", "c"])
    with pytest.raises(InputError, match="y: 3 different values; expected two for task binary; or"):
        binary.check_target(values, 3, "y")
    binary.check_target(values[:2], 2, "y")
    assert binary.width(2) == 1
