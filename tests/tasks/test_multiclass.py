"""Several classes: log probabilities and probabilities, in arrays and in a graph."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from headrace.arrays import Floats
from headrace.errors import InputError
from headrace.tasks import multiclass
from tests.tasks.graphs import apply_link, run_graph

raw_of = arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(2, 5)), elements=st.floats(-10, 10)
)


def softmax(raw: Floats) -> Floats:
    """By its definition."""
    powers = np.exp(raw)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@given(raw_of)
def test_scores_are_the_softmax_and_back_up_to_a_constant(raw: Floats) -> None:
    scores = multiclass.to_scores(raw)
    np.testing.assert_allclose(scores, softmax(raw), rtol=1e-12)
    np.testing.assert_allclose(multiclass.to_scores(multiclass.to_raw(scores)), scores, rtol=1e-6)
    shift = multiclass.to_raw(scores) - raw
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1], shift.shape), atol=1e-3)


def test_large_raw_scores_do_not_overflow() -> None:
    found = multiclass.to_scores(np.array([[1e4, 0.0], [-1e4, -1e4]]))
    assert found.tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_a_graph_links_as_arrays_do() -> None:
    raw = np.random.default_rng(1).normal(size=(50, 4)) * 5
    np.testing.assert_allclose(
        apply_link(multiclass.link, raw, 4), softmax(raw), rtol=1e-9, atol=1e-15
    )
    scores = np.vstack([softmax(raw), [1.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(
        apply_link(multiclass.unlink, scores, 4), multiclass.to_raw(scores), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("classes", [["a", "b", "c"], [3, 5, 8]])
def test_a_prediction_is_the_likeliest_class_beside_all_probabilities(classes: list[Any]) -> None:
    scores = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.25, 0.5, 0.25]])
    found = run_graph(
        scores, np.float32, lambda graph, raw: multiclass.outputs(graph, raw, classes, None)
    )
    assert found["prediction"][:, 0].tolist() == [classes[at] for at in (0, 2, 1)]
    assert found["probabilities"].tolist() == scores.tolist()
    assert multiclass.decide(scores, 0.5).tolist() == [0, 2, 1]


@given(raw=raw_of, data=st.data())
def test_the_shift_of_shares_is_bayes_rule(raw: Floats, data: st.DataObject) -> None:
    count = raw.shape[1]
    drawn = st.lists(st.floats(0.01, 100), min_size=count, max_size=count)
    weights = np.array(data.draw(drawn))
    shifted = multiclass.to_scores(raw + multiclass.shift_of_shares(weights))
    expected = softmax(raw) * weights
    np.testing.assert_allclose(shifted, expected / expected.sum(axis=1, keepdims=True), rtol=1e-9)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_targets_are_one_column_for_each_class(y: list[int]) -> None:
    found = multiclass.target_outputs(np.array(y, np.float64), 4)
    assert found.tolist() == [[float(at == one) for at in range(4)] for one in y]


def test_accuracy_is_the_share_of_rows_whose_class_was_picked() -> None:
    scores = np.array([[0.7, 0.3], [0.4, 0.6], [0.2, 0.8]])
    found = multiclass.treatments(np.array([0.0, 0.0, 1.0]), scores, 0.5)
    assert tuple(found) == multiclass.TREATMENTS
    values, counts = found["accuracy"]
    assert values.tolist() == [1.0, 0.0, 1.0]
    assert counts.tolist() == [True] * 3


def test_what_is_said_of_the_task() -> None:
    assert multiclass.infer_metric(pl.Series(["a"]), None)[0] == "log_loss"
    assert multiclass.width(7) == 7
    assert multiclass.rarer_rows(np.array([0.0, 1.0])) is None


def test_fractions_and_too_many_classes_are_told() -> None:
    multiclass.check_target(pl.Series([1.0, 2.0, 3.0]), 3, "y")
    multiclass.check_target(pl.Series(["a", "b"]), 1_000, "y")
    with pytest.raises(InputError, match="y: numbers with fractions; expected class names or"):
        multiclass.check_target(pl.Series([1.0, 2.5]), 2, "y")
    with pytest.raises(InputError, match="y: 1001 different values; expected at most 1000 classes"):
        multiclass.check_target(pl.Series(["a", "b"]), 1_001, "y")
