"""Numbers: the score is the value itself, to its last digit, and errors are plain differences."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.tasks import regression
from tests.tasks.graphs import apply_link, run_graph

values_of = st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=9).map(np.array)


@given(values_of)
def test_scores_and_raw_scores_are_the_values(values: np.ndarray) -> None:
    assert regression.to_scores(values).tolist() == values.tolist()
    assert regression.to_raw(values).tolist() == values.tolist()
    assert regression.decide(values, 0.5).tolist() == values.tolist()
    assert regression.target_outputs(values, 0).tolist() == [[one] for one in values]


def test_a_graph_keeps_every_digit_of_a_large_value() -> None:
    values = np.array([[1e8 + 0.1], [-(2.0**53) + 1], [5e-324]])
    assert apply_link(regression.link, values, 1).tolist() == values.tolist()
    assert apply_link(regression.unlink, values, 1).tolist() == values.tolist()
    found = run_graph(
        values, np.float64, lambda graph, raw: regression.outputs(graph, raw, [], None)
    )
    assert list(found) == ["prediction"]
    assert found["prediction"].tolist() == values.tolist()


@given(values=values_of, shift=st.floats(-10, 10))
def test_treatments_are_the_errors_of_every_row(values: np.ndarray, shift: float) -> None:
    scores = values + shift
    found = regression.treatments(values, scores, 0.5)
    assert tuple(found) == regression.TREATMENTS
    errors = [score - value for value, score in zip(values, scores, strict=True)]
    assert found["mean_error"][0].tolist() == errors
    assert found["mean_absolute_error"][0].tolist() == [abs(one) for one in errors]
    for _, counts in found.values():
        assert counts.all()


def test_what_is_said_of_the_task() -> None:
    assert regression.infer_metric(pl.Series([1.0]), None)[0] == "rmse"
    assert regression.width(0) == 1
    assert regression.rarer_rows(np.array([0.0, 1.0])) is None
    assert regression.shift_of_shares(np.array([2.0])).tolist() == [0.0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["a", "b"], "y: values such as 'a'; expected numbers for task regression"),
        ([True, False], "y: values such as True; expected numbers"),
        ([1.0, float("inf")], "y: infinite values or NaN; expected finite numbers"),
        ([1.0, float("nan")], "y: infinite values or NaN"),
    ],
)
def test_a_target_that_is_no_number_is_told(values: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        regression.check_target(pl.Series(values), len(values), "y")
    regression.check_target(pl.Series([1, 2]), 2, "y")
