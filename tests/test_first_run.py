"""What `init --yes` writes, `run` runs: the tables of the data index, and of every shape."""

from datetime import datetime, timedelta
from pathlib import Path

import hypothesis
import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st

import headrace
from headrace.design import Answers
from tests.conftest import DATA, EXAMPLES, value_of

INDEX = {
    "income": (EXAMPLES / "income" / "train.csv.gz", "classification"),
    "bikes": (EXAMPLES / "bikes" / "hour.csv.gz", "cnt"),
    "criteo": (DATA / "ctr_criteo_20k" / "criteo_20k.csv.gz", "label"),
    "clicks": (DATA / "ctr_talkingdata_100k" / "train_sample.csv.gz", "is_attributed"),
    "banking": (DATA / "tickets_banking77" / "train.csv.gz", "category"),
    "electricity": (DATA / "drift_electricity" / "electricity.csv.gz", "class"),
    "feed": (DATA / "feed_deskdrop" / "users_interactions.csv.gz", "eventType"),
    "bandit": (DATA / "feed_open_bandit_men" / "random_men.csv.gz", "click"),
    "bandit_bts": (DATA / "feed_open_bandit_men" / "bts_men.csv.gz", "click"),
    "flights": (DATA / "regression_flights_jan2015" / "flights.csv.gz", "ARRIVAL_DELAY"),
    "taxis": (DATA / "regression_nyc_taxis" / "taxis.csv.gz", "total"),
}


SEARCH = "search: {trials: 20, seconds: 60}"
FEW_ROUNDS = "gbdt: {max_rounds: 40}\n  "


def first_run(source: Path, target: str, folder: Path, models: str = FEW_ROUNDS) -> headrace.Run:
    path, text = headrace.init(source, Answers(target=target), folder)
    assert SEARCH in text
    path.write_text(text.replace(SEARCH, models + "search: {trials: 0, seconds: 10}"))
    return headrace.run(headrace.load(folder))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(INDEX))
def test_every_table_of_the_index(name: str, tmp_path: Path) -> None:
    source, target = INDEX[name]
    if not source.exists():
        pytest.skip(f"no {source}")
    run = first_run(source, target, tmp_path / "system", models="")
    assert headrace.verify(run.bundle).passed


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    """Tables with owners of every size, times, parts of times, ids, constants and rare classes."""
    rows = draw(st.integers(120, 300))
    chance = np.random.default_rng(draw(st.integers(0, 10**6)))
    owners = draw(st.sampled_from(["none", "many", "one large", "unknown", "few"]))
    columns: dict[str, object] = {"x": chance.normal(size=rows)}
    if owners != "none":
        own = chance.integers(1, {"few": 3}.get(owners, rows // 4), rows)
        share = {"one large": 0.5, "unknown": 0.08}.get(owners, 0.0)
        columns["user_id"] = np.where(chance.random(rows) < share, 0, own)
    if draw(st.booleans()):
        columns["job"] = chance.choice(["a", "b", "c"], rows, p=[0.9, 0.09, 0.01])
    if draw(st.booleans()):
        start = datetime(2022, 1, 1)
        days = draw(st.sampled_from([1, 400]))
        columns["created_at"] = [
            start + timedelta(days=int(day)) for day in chance.integers(0, days, rows)
        ]
    if draw(st.booleans()):
        columns |= {
            "year": chance.integers(2020, 2024, rows),
            "month": chance.integers(1, 13, rows),
        }
    if draw(st.booleans()):
        columns["constant"] = [1] * rows
    if draw(st.booleans()):
        columns["row_id"] = np.arange(rows)
    score = columns["x"] + chance.normal(size=rows)  # type: ignore[operator]
    kind = draw(st.sampled_from(["binary", "classes", "number"]))
    columns["y"] = {
        "binary": score > 0.5,
        "classes": np.digitize(score, [-0.5, 0.5]),
        "number": score,
    }[kind]
    return pl.DataFrame(columns)


@hypothesis.given(frame=tables())
@hypothesis.settings(max_examples=8)
def test_generated_tables(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("first")
    frame.write_parquet(folder / "t.parquet")
    run = first_run(folder / "t.parquet", "y", folder / "system")
    assert run.bundle.is_dir()


NAMES = [
    "*",
    "^c.*$",
    "count",
    "n",
    "prediction",
    "decision",
    "probability_a",
    "len",
    "rows",
    "value",
    "code",
    "a.b",
]


@pytest.mark.parametrize("target", ["y", "count", "*", "^y$", "prediction", "n"])
def test_any_column_name_works_in_any_place(target: str, tmp_path: Path) -> None:
    chance = np.random.default_rng(4)
    rows = 300
    names = [name for name in NAMES if name != target]
    frame = pl.DataFrame(
        {
            name: chance.normal(size=rows) if at % 2 else chance.choice(["p", "q", "r"], rows)
            for at, name in enumerate(names)
        }
        | {target: chance.choice(["a", "b"], rows), "c1": chance.normal(size=rows)}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    run = first_run(tmp_path / "t.parquet", target, tmp_path / "system")
    assert headrace.verify(run.bundle).passed
    predictor = headrace.open(run.bundle)
    asked = frame.head(9)
    table = predictor.predict(asked)["prediction"].to_list()
    assert [one["prediction"] for one in predictor.predict(asked.to_dicts())] == pytest.approx(
        table, abs=1e-6
    )
    assert predictor.predict(asked.to_pandas())["prediction"].to_list() == pytest.approx(
        table, abs=1e-6
    )


def test_a_frame_with_a_column_twice_gets_one_clear_error(tmp_path: Path) -> None:
    chance = np.random.default_rng(8)
    frame = pl.DataFrame(
        {"x": chance.normal(size=200), "z": chance.normal(size=200), "y": [0, 1] * 100}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    predictor = headrace.open(first_run(tmp_path / "t.parquet", "y", tmp_path / "s").bundle)
    pandas = frame.to_pandas()[["x", "z", "z"]]
    with pytest.raises(headrace.errors.InputError, match="twice"):
        predictor.predict(pandas)


def test_a_few_hundred_classes_of_text(tmp_path: Path) -> None:
    chance = np.random.default_rng(6)
    words = [f"word{at}" for at in range(150)]
    kinds = chance.integers(0, 150, 3000)
    noise = chance.choice(words, (3000, 2))
    pl.DataFrame(
        {"text": [f"{words[k]} {a} {b} please" for k, (a, b) in zip(kinds, noise, strict=True)],
         "label": [f"c{k}" for k in kinds]}
    ).write_parquet(tmp_path / "t.parquet")  # fmt: skip
    run = first_run(tmp_path / "t.parquet", "label", tmp_path / "system")
    assert value_of(run.document, "accuracy") > 0.5
    assert [one.check for one in run.document.findings if one.check == "models.classes"] == [
        "models.classes"
    ]
    assert "gbdt" not in {one.family for one in run.document.candidates}
    assert headrace.verify(run.bundle).passed
    assert run.report.exists()


@pytest.mark.slow
def test_a_table_of_5000_columns(tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    X = chance.normal(size=(1500, 5000))
    frame = pl.DataFrame(X, schema=[f"c{at}" for at in range(5000)])
    frame.with_columns(y=pl.Series(X[:, 0] + X[:, 1] + chance.normal(size=1500) > 0)).write_parquet(
        tmp_path / "t.parquet"
    )
    run = first_run(tmp_path / "t.parquet", "y", tmp_path / "system")
    assert list(run.document.importances)[:2] in (["c0", "c1"], ["c1", "c0"])
