"""Planted leaks are found in real tables, and nothing is said of honest ones."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.design import infer_goal, infer_kind
from headrace.explore import leaks, relations
from headrace.explore.relation import bin_column, explain_by_bins
from headrace.features import encode_target, make_target
from headrace.spec import Goal, Task
from headrace.tables import load
from tests.conftest import DATA, EXAMPLES

Rows = tuple[pl.DataFrame, np.ndarray, Task]
TABLES = {
    "income": (EXAMPLES / "income" / "train.csv.gz", "classification", []),
    "bikes": (EXAMPLES / "bikes" / "hour.csv.gz", "cnt", ["casual", "registered"]),
    "electricity": (DATA / "drift_electricity" / "electricity.csv.gz", "class", []),
    "criteo": (DATA / "ctr_criteo_20k" / "criteo_20k.csv.gz", "label", []),
    "clicks": (
        DATA / "ctr_talkingdata_100k" / "train_sample.csv.gz",
        "is_attributed",
        ["attributed_time"],
    ),
    "taxis": (DATA / "regression_nyc_taxis" / "taxis.csv.gz", "total", []),
    "bandit": (DATA / "feed_open_bandit_men" / "random_men.csv.gz", "click", []),
    "feed": (DATA / "feed_deskdrop" / "users_interactions.csv.gz", "eventType", []),
}


def rows_of(name: str) -> Rows:
    path, target, dropped = TABLES[name]
    if not path.exists():
        pytest.skip(f"no {path}")
    frame = load(path, None, ["", "NA", "?"]).frame.drop(dropped)
    goal, _ = infer_goal(Goal(target=target), frame[target])
    assert goal.task is not None
    y = encode_target(make_target(goal, frame[target]), frame[target])
    columns = [values.name for values in frame.drop(target) if infer_kind(values)[0] != "ignored"]
    return frame.select(columns), y, goal.task


@pytest.mark.parametrize("name", list(TABLES))
def test_an_honest_table_is_not_accused(name: str) -> None:
    frame, y, task = rows_of(name)
    assert leaks(frame, y, task, "target") == []


def plant(frame: pl.DataFrame, y: np.ndarray, leak: str) -> tuple[pl.DataFrame, set[str]]:
    """A table with one leak, and the columns that are to be named; 3 % of a planted column are
    wrong.
    """
    chance = np.random.default_rng(7)
    wrong = chance.random(len(y)) < 0.03
    regression = len(np.unique(y)) > 2
    noisy = (
        y + chance.normal(size=len(y)) * y.std() * 0.05 if regression else np.where(wrong, 1 - y, y)
    )
    if leak == "copy":
        return frame.with_columns(
            planted=pl.Series(y * 3 + 2 if regression else np.where(y > 0, "win", "loss"))
        ), {"planted"}
    if leak == "single_column":
        return frame.with_columns(planted=pl.Series(noisy)), {"planted"}
    if leak == "sum":
        part = chance.normal(size=len(y)) * 10
        return frame.with_columns(first=pl.Series(y + part), second=pl.Series(part)), {
            "first",
            "second",
        }
    there = (y > np.median(y)) ^ wrong if regression else (y > 0) ^ wrong
    values = pl.Series([1.0 if one else None for one in there])
    return frame.with_columns(planted=values * pl.Series(chance.random(len(y)))), {"planted"}


@pytest.mark.parametrize("leak", ["copy", "single_column", "sum", "missingness"])
@pytest.mark.parametrize("name", ["income", "bikes", "electricity"])
def test_a_planted_leak_is_found_and_named(name: str, leak: str) -> None:
    frame, y, task = rows_of(name)
    leaky, named = plant(frame, y, leak)
    found = leaks(leaky, y, task, "target")
    assert [finding.check for finding in found] == [f"leak.{leak}"]
    assert set(found[0].columns) == named
    assert found[0].severity == "error"
    assert found[0].evidence


def test_the_sum_that_bikes_came_with_is_found() -> None:
    frame = load(EXAMPLES / "bikes" / "hour.csv.gz").frame
    found = leaks(
        frame.drop("cnt", "instant"), frame["cnt"].to_numpy().astype(float), "regression", "cnt"
    )
    assert [(one.check, one.columns) for one in found] == [("leak.sum", ["casual", "registered"])]


def test_a_rare_event_is_not_copied_by_a_constant() -> None:
    y = np.zeros(5000)
    y[::500] = 1
    frame = pl.DataFrame(
        {"flag": np.arange(5000) % 777 == 0, "zero": np.zeros(5000), "other": np.arange(5000) % 3}
    )
    assert leaks(frame, y, "binary", "y") == []


@given(seed=st.integers(0, 200))
def test_noise_explains_nothing(seed: int) -> None:
    chance = np.random.default_rng(seed)
    y = (chance.random(2000) < 0.3).astype(np.float64)
    frame = pl.DataFrame(
        {
            "number": chance.normal(size=2000),
            "text": pl.Series(chance.integers(0, 900, 2000)).cast(pl.String),
        }
    )
    assert max(relations(frame, y, "binary").values()) < 0.05


def test_the_explained_share_is_r_squared_of_group_means() -> None:
    chance = np.random.default_rng(1)
    group = chance.integers(0, 5, 4000)
    y = group * 2.0 + chance.normal(size=4000)
    means = np.array([y[group == one].mean() for one in range(5)])
    expected = 1 - np.var(y - means[group]) / np.var(y)
    assert explain_by_bins(bin_column(pl.Series(group)), y, "regression") == pytest.approx(
        expected, abs=0.01
    )


def test_many_columns_are_fine() -> None:
    chance = np.random.default_rng(1)
    frame = pl.DataFrame({f"c{at}": chance.normal(size=500) for at in range(120)})
    assert leaks(frame, chance.normal(size=500), "regression", "y") == []
