"""A value, or being filled in at all, that proves the outcome for some rows is found; honest
columns are not accused.
"""

import numpy as np
import polars as pl
import pytest

from headrace.explore import check_order, leaks
from tests.explore.test_leaks import rows_of


def rare(y: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Some of the rows of the rarer class: so many of all."""
    chance = np.random.default_rng(seed)
    values, counts = np.unique(y, return_counts=True)
    of_it = np.flatnonzero(y == values[counts.argmin()])
    chosen = np.zeros(len(y), bool)
    chosen[chance.choice(of_it, int(min(share * len(y), 0.7 * len(of_it))), replace=False)] = True
    return chosen


@pytest.mark.parametrize("name", ["income", "electricity", "criteo"])
def test_what_is_filled_in_after_the_outcome_is_found(name: str) -> None:
    frame, y, task = rows_of(name)
    known = rare(y, 0.1, 3)
    amounts = pl.Series([float(at % 97) if one else None for at, one in enumerate(known)])
    (found,) = leaks(frame.with_columns(planted=amounts), y, task, "target")
    assert (found.check, found.columns, found.severity) == ("leak.presence", ["planted"], "error")
    assert found.evidence["purity"] == 1.0
    assert 0.05 < found.evidence["rows"] / min(len(y), 20_000) < 0.15


@pytest.mark.parametrize("name", ["income", "electricity", "criteo"])
def test_a_value_that_proves_the_outcome_is_found(name: str) -> None:
    frame, y, task = rows_of(name)
    chance = np.random.default_rng(5)
    stage = np.where(
        rare(y, 0.1, 3), "closed won", chance.choice(["new", "open", "stalled"], len(y))
    )
    (found,) = leaks(frame.with_columns(planted=pl.Series(stage)), y, task, "target")
    assert (found.check, found.columns) == ("leak.value", ["planted"])
    assert "closed won" in found.message


def test_an_ignored_column_is_looked_at_too() -> None:
    frame, y, task = rows_of("income")
    known = rare(y, 0.1, 3)
    receipts = pl.DataFrame(
        {"receipt": [f"r{at}" if one else None for at, one in enumerate(known)]}
    )
    (found,) = leaks(frame, y, task, "target", ["<=50K", ">50K"], receipts)
    assert (found.check, found.columns, found.evidence["outcome"]) == (
        "leak.presence",
        ["receipt"],
        ">50K",
    )


def test_a_time_series_in_its_order_is_told_of_and_a_shuffled_one_is_not() -> None:
    frame, y, task = rows_of("bikes")
    (found,) = [
        one
        for one in check_order(frame.select("hum"), y, task, "random")
        if one.check == "split.order"
    ]
    assert found.evidence["correlation"] > 0.8
    mixed = np.random.default_rng(1).permutation(len(y))
    assert check_order(frame.select("hum"), y[mixed], task, "random") == []
    assert check_order(frame, y, task, "time") == []
    assert (
        check_order(frame.select("hum"), np.sort(y), task, "random") == []
    )  # sorted by the target itself


@pytest.mark.parametrize("name", ["income", "criteo", "clicks", "taxis", "bandit", "feed"])
def test_rows_in_no_order_are_not_told_of(name: str) -> None:
    frame, y, task = rows_of(name)
    assert [
        one.check for one in check_order(frame, y, task, "random") if one.check == "split.order"
    ] == []


def test_a_year_of_its_own_is_told_of() -> None:
    frame = pl.DataFrame({"year": [2023, 2024] * 100, "x": range(200)})
    found = check_order(frame, np.arange(200.0) % 7, "regression", "random")
    assert [(one.check, one.columns) for one in found] == [("split.time_like", ["year"])]
