"""Importances against scikit-learn's permutation importance, weak slices against a plain loop."""

import numpy as np
import polars as pl
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score

from headrace.evaluate import draw_for_importances, find_weak_slices, importances
from headrace.evaluate.predictions import Predictions


def test_importances_are_those_of_scikit_learn() -> None:
    chance = np.random.default_rng(1)
    X = chance.normal(size=(2500, 3))
    y = X @ [3.0, 1.0, 0.0] + chance.normal(size=2500)
    model = LinearRegression().fit(X, y)

    def permute(name: str, order: np.ndarray) -> np.ndarray:
        mixed = X.copy()
        mixed[:, "abc".index(name)] = X[order, "abc".index(name)]
        return np.asarray(model.predict(mixed))

    found = importances(
        Predictions("regression", y, model.predict(X)), permute, ["a", "b", "c"], "rmse", 3
    )
    expected = permutation_importance(
        model, X, y, scoring="neg_root_mean_squared_error", n_repeats=20, random_state=0
    ).importances_mean
    assert list(found) == ["a", "b", "c"]
    assert list(found.values()) == pytest.approx(expected, rel=0.06, abs=0.01)


def test_few_rows_are_used_where_there_are_many_columns() -> None:
    many = Predictions("regression", np.zeros(5000), np.zeros(5000))
    assert len(draw_for_importances(many, 1000, 0)) == 400
    assert len(draw_for_importances(many, 10, 0)) == 3000
    few = many.select(np.arange(50))
    assert draw_for_importances(few, 10**6, 0).tolist() == list(range(50))


def test_a_weak_slice_is_found_and_named() -> None:
    """In one town the scores say nothing; the numbers are scikit-learn's."""
    chance = np.random.default_rng(2)
    town = chance.choice(["north", "south", "west"], 4000, p=[0.6, 0.3, 0.1])
    y = (chance.random(4000) < 0.4).astype(np.float64)
    scores = np.where(
        town == "west", chance.random(4000), np.clip(y * 0.5 + chance.random(4000) * 0.6, 0, 1)
    )
    frame = pl.DataFrame(
        {"town": town, "noise": chance.normal(size=4000), "flag": chance.random(4000) < 0.5}
    )
    found = find_weak_slices(frame, Predictions("binary", y, scores), "roc_auc", 0)
    first = found[0]
    west = town == "west"
    assert (first.column, first.slice, first.rows) == ("town", "west", int(west.sum()))
    assert first.value == pytest.approx(roc_auc_score(y[west], scores[west]))
    assert first.others == pytest.approx(roc_auc_score(y[~west], scores[~west]))
    assert 0 < first.gap[0] < first.others - first.value < first.gap[1]


def test_numbers_are_cut_in_quarters_and_missing_is_a_slice() -> None:
    chance = np.random.default_rng(3)
    x = chance.normal(size=3000)
    y = x * 0 + chance.normal(size=3000)
    gone = chance.random(3000) < 0.2
    error = np.where(gone, 3.0, np.where(x > np.quantile(x[~gone], 0.75), 2.0, 0.1))
    frame = pl.DataFrame({"x": pl.Series(x).set(pl.Series(gone), None)})
    found = find_weak_slices(
        frame, Predictions("regression", y, y + error * chance.normal(size=3000)), "rmse", 0
    )
    assert [one.column for one in found] == ["x", "x"]
    assert found[0].slice == "missing"
    low, high = map(float, found[1].slice.split(" to "))
    assert low == pytest.approx(np.quantile(x[~gone], 0.75), abs=0.02)
    assert high == pytest.approx(x[~gone].max(), rel=1e-3)


def test_noise_has_hardly_any_weak_slice() -> None:
    chance = np.random.default_rng(4)
    frame = pl.DataFrame({f"c{at}": chance.normal(size=2000) for at in range(10)})
    y = chance.normal(size=2000)
    found = find_weak_slices(
        frame, Predictions("regression", y, y + chance.normal(size=2000)), "rmse", 0
    )
    assert len(found) <= 4
    assert find_weak_slices(frame[:40], Predictions("regression", y[:40], y[:40]), "rmse", 0) == []
