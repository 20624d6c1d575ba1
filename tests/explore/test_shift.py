"""Splits that service will not look like are told of; fair ones are not."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from headrace.explore import Division, check_split

ROWS = 3000
CHANCE = np.random.default_rng(5)
FRAME = pl.DataFrame(
    {
        "at": [datetime(2024, 1, 1) + timedelta(hours=hour) for hour in range(ROWS)],
        "x": CHANCE.normal(size=ROWS),
        "moving": CHANCE.normal(size=ROWS) + np.arange(ROWS) / 500,
        "word": ["a", "b", None] * (ROWS // 3),
    }
)
EARLY, LATE = np.arange(2000), np.arange(2200, ROWS)
MIXED = np.random.default_rng(1).permutation(ROWS)


def test_a_fair_split_is_not_accused() -> None:
    division = Division(np.sort(MIXED[:2000]), np.sort(MIXED[2000:]), "random")
    assert check_split(FRAME, ["x", "moving", "word"], division, None) == []
    assert check_split(FRAME, ["x", "word"], Division(EARLY, LATE, "time"), "at") == []


def test_a_world_that_moves_is_told_of() -> None:
    columns = ["x", "moving", "word"]
    (found,) = check_split(FRAME, columns, Division(EARLY, LATE, "time"), "at")
    assert (found.check, found.severity, found.columns[0]) == ("split.shift", "info", "moving")
    assert found.evidence["roc_auc"] > 0.8
    (found,) = check_split(FRAME, columns, Division(EARLY, LATE, "random"), None)
    assert found.severity == "warning"


def test_what_is_the_same_in_all_rows_of_an_owner_is_no_shift() -> None:
    owner = np.arange(ROWS) // 20
    frame = FRAME.with_columns(home=pl.Series(CHANCE.normal(size=ROWS // 20)[owner]))
    is_test = np.isin(owner, np.random.default_rng(2).permutation(ROWS // 20)[:40])
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    assert check_split(frame, ["x", "home"], Division(train, test, "group", owner), None) == []
    moved = frame.with_columns(home=pl.col("home") + pl.Series(is_test * 3.0))
    (found,) = check_split(moved, ["x", "home"], Division(train, test, "group", owner), None)
    assert found.columns[0] == "home"
    few = Division(train, test, "group", is_test.astype(np.int64))
    assert check_split(moved, ["x", "home"], few, None) == []


def test_a_split_that_ignores_time_is_told_of() -> None:
    division = Division(np.sort(MIXED[:2000]), np.sort(MIXED[2000:]), "random")
    (found,) = check_split(FRAME, ["x"], division, "at")
    assert (found.check, found.severity, found.columns) == ("split.time", "warning", ["at"])


def test_time_that_runs_backwards_is_an_error() -> None:
    (found,) = check_split(FRAME, ["x"], Division(LATE, EARLY, "group"), "at")
    assert (found.check, found.severity) == ("split.time", "error")
    assert "backwards" in found.message


def test_few_rows_say_nothing() -> None:
    division = Division(np.arange(40), np.arange(40, 60), "random")
    assert check_split(FRAME[:60], ["moving"], division, None) == []
