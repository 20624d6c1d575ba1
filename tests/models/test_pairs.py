"""Pairs of a query's rows, and the linear model that learns from them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.features import Target
from headrace.models import FAMILIES, Sample
from headrace.models.pairs import draw_pairs, fit_pairs
from headrace.spec import LinearParams
from headrace.tasks import Grading, Queries

TARGET = Target("y", "ranking", [])


@given(
    lists=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=5),
    seed=st.integers(0, 5),
)
def test_short_queries_give_every_pair_of_different_grades(
    lists: list[list[int]], seed: int
) -> None:
    grades = np.array([float(grade) for rows in lists for grade in rows])
    of_row = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
    queries = Queries(of_row, Grading())
    expected = set()
    for a, b in combinations(range(len(grades)), 2):
        if of_row[a] == of_row[b] and grades[a] != grades[b]:
            expected.add((a, b) if grades[a] > grades[b] else (b, a))
    if not expected:
        return
    pairs = draw_pairs(grades, queries, None, seed)
    assert set(zip(pairs.better.tolist(), pairs.worse.tolist(), strict=True)) == expected
    gains = 2**grades - 1
    differences = gains[pairs.better] - gains[pairs.worse]
    assert pairs.weight == pytest.approx(differences / differences.sum())


def test_long_queries_give_at_most_twenty_companions_of_a_row() -> None:
    grades = np.random.default_rng(1).integers(0, 4, 3000).astype(float)
    queries = Queries(np.repeat([0, 1], 1500), Grading())
    pairs = draw_pairs(grades, queries, None, seed=1)
    assert 20_000 < len(pairs.better) <= 60_000
    assert (grades[pairs.better] > grades[pairs.worse]).all()
    assert (queries.of_row[pairs.better] == queries.of_row[pairs.worse]).all()


def test_the_weights_are_those_of_a_logistic_regression_of_differences() -> None:
    from sklearn.linear_model import LogisticRegression

    chance = np.random.default_rng(2)
    X = chance.normal(size=(400, 5))
    grades = np.digitize(X @ [1, -2, 0, 0.5, 0] + chance.normal(size=400), [-1, 1]).astype(float)
    pairs = draw_pairs(grades, Queries(np.arange(400) // 10, Grading()), None, seed=1)
    l2 = 0.01
    differences = X[pairs.better] - X[pairs.worse]
    both = np.vstack([differences, -differences])
    labels = np.repeat([1, 0], len(differences))
    reference = LogisticRegression(C=1 / l2, fit_intercept=False, tol=1e-8, max_iter=1000)
    reference.fit(both, labels, np.tile(pairs.weight, 2) / 2)
    assert fit_pairs(X, pairs, l2) == pytest.approx(reference.coef_[0], abs=1e-4)


def test_what_shifts_all_rows_of_a_query_changes_no_weight() -> None:
    chance = np.random.default_rng(3)
    X = chance.normal(size=(600, 4))
    grades = np.digitize(X @ [1, -1, 0.5, 0], [-0.5, 0.5]).astype(float)
    of_row = np.arange(600) // 12
    shifted = X + chance.normal(size=(50, 4))[of_row] * 20
    queries = Queries(of_row, Grading())
    weights = []
    for matrix in (X, shifted):
        sample = Sample(matrix, grades, queries=queries)
        weights.append(FAMILIES["linear"].fit(sample, TARGET, LinearParams(), 7, None).state[0])
    assert weights[0] == pytest.approx(weights[1], rel=1e-3, abs=1e-3)


def test_a_deadline_ends_the_fit() -> None:
    X = np.random.default_rng(4).normal(size=(100, 3))
    grades = (X[:, 0] > 0).astype(float)
    pairs = draw_pairs(grades, Queries(np.arange(100) // 10, Grading()), None, seed=1)
    early = fit_pairs(X, pairs, 1e-4, deadline=0.0)
    assert np.abs(early).sum() < np.abs(fit_pairs(X, pairs, 1e-4)).sum()


def test_pairs_that_weigh_nothing_teach_nothing() -> None:
    X = np.random.default_rng(5).normal(size=(20, 3))
    grades = np.tile([0.0, 1.0], 10)
    queries = Queries(np.arange(20) // 4, Grading())
    pairs = draw_pairs(grades, queries, np.zeros(20), seed=1)
    assert fit_pairs(X, pairs, 1e-3).tolist() == [0.0, 0.0, 0.0]
