"""How groups fare, against a plain loop over rows."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.evaluate import LEAST_ROWS, Predictions, compare_groups
from headrace.registry import fairness
from headrace.tasks import find_task


def share(rows: list[int], right: Any, weight: Any) -> float | None:
    total = sum(weight[row] for row in rows)
    return sum(weight[row] for row in rows if right(row)) / total if total else None


@given(seed=st.integers(0, 10**6), weighed=st.booleans(), cut=st.sampled_from([0.3, 0.5]))
def test_a_plain_loop_says_the_same(seed: int, weighed: bool, cut: float) -> None:
    chance = np.random.default_rng(seed)
    rows = 300
    names = chance.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1])
    gone = chance.random(rows) < 0.05
    group = pl.Series("g", names).set(pl.Series(gone), None)
    y, scores = (chance.random(rows) < 0.4).astype(np.float64), chance.random(rows)
    weight = chance.integers(0, 3, rows).astype(np.float64) if weighed else np.ones(rows)
    found = compare_groups(
        group.to_frame(),
        Predictions("binary", y, scores, weight if weighed else None, threshold=cut),
    )[0]
    labels = ["(missing)" if absent else name for name, absent in zip(names, gone, strict=True)]
    assert {one.group: one.rows for one in found.groups} == {
        label: labels.count(label) for label in set(labels)
    }
    for one in found.groups:
        of = [row for row in range(rows) if labels[row] == one.group]
        should, should_not = [row for row in of if y[row]], [row for row in of if not y[row]]
        expected = {
            "selection_rate": share(of, lambda row: scores[row] >= cut, weight),
            "true_positive_rate": share(should, lambda row: scores[row] >= cut, weight),
            "false_positive_rate": share(should_not, lambda row: scores[row] >= cut, weight),
            "accuracy": share(of, lambda row: (scores[row] >= cut) == bool(y[row]), weight),
        }
        assert {name: getattr(one, name) for name in expected} == pytest.approx(expected)
    for name in find_task("binary").TREATMENTS:
        among = {"true_positive_rate": y == 1, "false_positive_rate": y == 0}.get(
            name, np.ones(rows, bool)
        )
        large = [
            getattr(one, name)
            for one in found.groups
            if sum(
                label == one.group for label, counts in zip(labels, among, strict=True) if counts
            )
            >= LEAST_ROWS
            and getattr(one, name) is not None
        ]
        assert found.gaps[name] == (
            pytest.approx(max(large) - min(large)) if len(large) > 1 else None
        )


def test_every_large_group_is_compared() -> None:
    names = np.repeat([f"n{at:02}" for at in range(31)], [100] * 30 + [90])
    scores = np.where(names == "n30", 0.1, 0.9)
    found = compare_groups(
        pl.DataFrame({"n": names}), Predictions("binary", np.ones(3090), scores)
    )[0]
    assert found.gaps["true_positive_rate"] == 1.0
    assert len(found.groups) == 31
    gate = fairness([found], {"true_positive_rate": 0.1})[0]
    assert not gate.passed
    assert gate.why.startswith("n30 0, ")
    assert gate.why.endswith("and 25 more in between")


def test_a_rate_of_few_rows_is_not_compared() -> None:
    """One positive among many rows says nothing of the true positive rate."""
    group = pl.DataFrame({"g": ["a"] * 200 + ["b"] * 60})
    y = np.concatenate([np.ones(100), np.zeros(159), [1.0]])
    scores = np.concatenate([np.ones(100), np.zeros(160)])
    found = compare_groups(group, Predictions("binary", y, scores))[0]
    assert found.groups[1].true_positive_rate == 0.0
    assert found.gaps["true_positive_rate"] is None
    assert found.gaps["false_positive_rate"] == 0.0
    assert found.gaps["selection_rate"] == 0.5
    assert not fairness([found], {"true_positive_rate": 0.5})[0].passed, "nothing was shown"


def test_no_value_is_a_group_of_its_own() -> None:
    group = pl.DataFrame({"g": ["missing"] * 60 + [None] * 60})
    found = compare_groups(group, Predictions("binary", np.ones(120), np.repeat([1.0, 0.0], 60)))[0]
    assert sorted(one.group for one in found.groups) == ["(missing)", "missing"]
    assert found.gaps["selection_rate"] == 1.0


def test_values_and_classes() -> None:
    chance = np.random.default_rng(5)
    age, y = pl.Series("age", chance.integers(20, 60, 400)), chance.normal(size=400)
    off: Any = np.where(age.to_numpy() > 40, 0.5, -0.5)
    found = compare_groups(age.to_frame(), Predictions("regression", y, np.asarray(y + off)))[0]
    assert len(found.groups) == 4, "numbers by quarters"
    assert found.gaps["mean_error"] == pytest.approx(1.0)
    assert found.gaps["mean_absolute_error"] == pytest.approx(0.0)
    scores = np.eye(3)[np.zeros(400, dtype=int)]
    found = compare_groups(
        age.to_frame(),
        Predictions("multiclass", np.asarray(np.arange(400) % 3, np.float64), scores),
    )[0]
    assert sum(one.rows * one.mean("accuracy") for one in found.groups) == pytest.approx(134)
