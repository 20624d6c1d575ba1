"""Measures of a ranking equal the mean over every order of the ties."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.arrays import Integers
from headrace.evaluate import Predictions, compute_metric, compute_metrics
from headrace.evaluate.bootstrap import draw_resamples
from headrace.evaluate.measure import Measure, measure_queries
from headrace.spec import list_metrics, split_metric
from headrace.tasks import Grading, Queries

FORMULAS = ("ndcg", "map", "mrr", "recall", "precision", "hit_rate")


def one_order(formula: str, cut: int | None, grades: list[float], grading: Grading) -> float | None:
    """Compute a measure of one list by its definition; None where the query is left out."""
    length = len(grades) if cut is None else min(cut, len(grades))
    gains = [2**g - 1 if grading.gain == "exponential" else g for g in grades]
    hits = [g >= grading.relevant for g in grades]
    if formula == "ndcg":

        def dcg(values: list[float]) -> float:
            return float(sum(v / np.log2(i + 2) for i, v in enumerate(values[:length])))

        best = dcg(sorted(gains, reverse=True))
        return dcg(gains) / best if best else None
    if not any(hits):
        return None
    shown = hits[:length]
    if formula == "precision":
        return sum(shown) / length
    if formula == "recall":
        return sum(shown) / sum(hits)
    if formula == "hit_rate":
        return float(any(shown))
    if formula == "mrr":
        return next((1 / (i + 1) for i, hit in enumerate(shown) if hit), 0.0)
    precisions = [sum(hits[: i + 1]) / (i + 1) for i in range(length) if hits[i]]
    return sum(precisions) / min(sum(hits), length)


def every_order(
    formula: str,
    cut: int | None,
    grades: list[float],
    scores: list[float],
    grading: Grading,
) -> float | None:
    """Average a measure over all orders of tied scores."""
    groups = []
    for score in sorted(set(scores), reverse=True):
        groups.append([g for g, s in zip(grades, scores, strict=True) if s == score])
    values = []
    for orders in product(*(permutations(group) for group in groups)):
        values.append(one_order(formula, cut, [g for order in orders for g in order], grading))
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


queries_strategy = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=6),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(
    lists=queries_strategy,
    formula=st.sampled_from(FORMULAS),
    cut=st.sampled_from([None, 1, 2, 3, 5, 1000]),
    grading=st.sampled_from([Grading(), Grading("linear", 2.0)]),
    seed=st.integers(0, 9),
)
def test_measures_equal_the_mean_over_every_order(
    lists: list[list[tuple[int, int]]],
    formula: str,
    cut: int | None,
    grading: Grading,
    seed: int,
) -> None:
    grades = np.array([float(g) for rows in lists for g, _ in rows])
    scores = np.array([float(s) for rows in lists for _, s in rows])
    of_row = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
    expected = [
        every_order(formula, cut, [g for g, _ in rows], [s for _, s in rows], grading)
        for rows in lists
    ]
    # rows of a query need not lie together
    order = np.random.default_rng(seed).permutation(len(grades))
    queries = Queries(of_row[order], grading)
    predictions = Predictions("ranking", grades[order], scores[order], queries=queries)
    name = formula if cut is None else f"{formula}_{cut}"
    found = measure_queries(predictions, [name])[:, 0]
    for value, other in zip(found, expected, strict=True):
        assert (other is None and np.isnan(value)) or value == pytest.approx(other, abs=1e-12)

    known = [value for value in expected if value is not None]
    mean = compute_metric(predictions, name)
    assert mean == pytest.approx(np.mean(known)) if known else np.isnan(mean)


@pytest.fixture
def large() -> Predictions:
    """Forty queries of some thirty rows, with ties."""
    generator = np.random.default_rng(4)
    of_row = np.sort(generator.integers(0, 40, 1200))
    grades = generator.integers(0, 5, 1200).astype(float)
    scores = np.round(grades + generator.normal(0, 2, 1200), 1)
    return Predictions("ranking", grades, scores, queries=Queries(of_row, Grading(relevant=4.0)))


def query_of(predictions: Predictions) -> Integers:
    assert predictions.queries is not None
    return predictions.queries.of_row


def test_ndcg_with_ties_is_that_of_scikit_learn(large: Predictions) -> None:
    from sklearn.metrics import ndcg_score

    for cut in (1, 5, 10, None):
        values = []
        for query in range(40):
            own = query_of(large) == query
            gains = 2 ** large.y[own] - 1
            values.append(ndcg_score([gains], [large.scores[own]], k=cut))
        name = "ndcg" if cut is None else f"ndcg_{cut}"
        assert compute_metric(large, name) == pytest.approx(np.mean(values), abs=1e-12)


def test_a_constant_is_worth_a_random_order(large: Predictions) -> None:
    constant = large.with_scores(np.zeros(1200), None)
    generator = np.random.default_rng(1)
    for name in list_metrics("ranking"):
        drawn = [
            compute_metric(large.with_scores(generator.random(1200), None), name)
            for _ in range(200)
        ]
        error = np.std(drawn) / np.sqrt(200)
        assert abs(compute_metric(constant, name) - np.mean(drawn)) < 4 * error + 1e-12


def test_a_query_counts_the_mean_of_its_rows_weights(large: Predictions) -> None:
    weight = np.random.default_rng(2).random(1200)
    of_query = [weight[query_of(large) == query].mean() for query in range(40)]
    values = measure_queries(large, ["ndcg_5"])[:, 0]
    expected = np.average(values, weights=of_query)
    assert Measure(large, ["ndcg_5"])(weight)["ndcg_5"] == pytest.approx(expected)


def test_resamples_draw_whole_queries(large: Predictions) -> None:
    for weight in draw_resamples(large, seed=3, count=5):
        for query in range(40):
            assert len(np.unique(weight[query_of(large) == query])) == 1


def test_any_cut_is_a_metric(large: Predictions) -> None:
    values = compute_metrics(large, ["ndcg_7", "map_1000"])
    assert list(values)[:1] == ["ndcg_10"]
    assert values["map_1000"] == pytest.approx(values["map"])
    assert split_metric("ndcg_7") == ("ndcg", 7)


def test_a_thousand_ties_are_counted_without_overflow() -> None:
    grades = np.r_[np.ones(3), np.zeros(4997)]
    predictions = Predictions(
        "ranking", grades, np.zeros(5000), queries=Queries(np.zeros(5000, int), Grading())
    )
    values = compute_metrics(predictions)
    assert values["hit_rate_10"] == pytest.approx(
        1 - np.prod([(4990 - i) / (5000 - i) for i in range(3)])
    )
    assert values["recall_10"] == pytest.approx(10 / 5000)
    assert 0 < values["mrr"] < 1
