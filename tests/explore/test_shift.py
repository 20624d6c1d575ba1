"""Splits that service will not look like are told of; fair ones are not."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from headrace.explore import check_split

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
    assert (
        check_split(
            FRAME,
            ["x", "moving", "word"],
            np.sort(MIXED[:2000]),
            np.sort(MIXED[2000:]),
            None,
            "random",
        )
        == []
    )
    assert check_split(FRAME, ["x", "word"], EARLY, LATE, "at", "time") == []


def test_a_world_that_moves_is_told_of() -> None:
    (found,) = check_split(FRAME, ["x", "moving", "word"], EARLY, LATE, "at", "time")
    assert (found.check, found.severity, found.columns[0]) == ("split.shift", "info", "moving")
    assert found.evidence["roc_auc"] > 0.8
    (found,) = check_split(FRAME, ["x", "moving", "word"], EARLY, LATE, None, "random")
    assert found.severity == "warning"


def test_a_split_that_ignores_time_is_told_of() -> None:
    (found,) = check_split(
        FRAME, ["x"], np.sort(MIXED[:2000]), np.sort(MIXED[2000:]), "at", "random"
    )
    assert (found.check, found.severity, found.columns) == ("split.time", "warning", ["at"])


def test_time_that_runs_backwards_is_an_error() -> None:
    (found,) = check_split(FRAME, ["x"], LATE, EARLY, "at", "group")
    assert (found.check, found.severity) == ("split.time", "error")
    assert "backwards" in found.message


def test_few_rows_say_nothing() -> None:
    assert (
        check_split(FRAME[:60], ["moving"], np.arange(40), np.arange(40, 60), None, "random") == []
    )
