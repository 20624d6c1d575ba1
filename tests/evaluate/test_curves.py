"""Curves and tables of a report, beside scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from headrace.evaluate import Predictions
from headrace.evaluate.curves import curves


@given(st.integers(0, 10_000), st.integers(3, 7), st.integers(5, 80))
def test_each_class_fares_as_scikit_learn_says(seed: int, classes: int, rows: int) -> None:
    chance = np.random.default_rng(seed)
    y = chance.integers(0, classes, rows).astype(np.float64)
    scores = chance.dirichlet(np.ones(classes), rows)
    found = curves(Predictions("multiclass", y, scores), classes)
    precision, recall, f1, support = precision_recall_fscore_support(
        y, scores.argmax(axis=1), labels=range(classes), zero_division=0
    )
    expected = np.stack([support, precision, recall, f1], axis=1)
    assert np.array(found.by_class) == pytest.approx(expected)


def test_only_a_task_of_several_classes_has_them() -> None:
    y = np.array([0.0, 1.0, 1.0, 0.0])
    assert curves(Predictions("binary", y, y * 0.5 + 0.2), 2).by_class is None
    assert curves(Predictions("regression", y, y), 0).by_class is None
