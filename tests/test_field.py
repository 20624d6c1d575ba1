"""What the field trial found wrong without a word, from a file to an answer."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import headrace
from headrace.errors import InputError
from headrace.predict import GapWarning
from tests.conftest import DATA, value_of

FIELD = DATA.parent / "field"
SEARCH = "search: {trials: 20, seconds: 60}"
NO_SEARCH = "gbdt: {max_rounds: 40}\n  search: {trials: 0}"


def system(
    folder: Path, data: str, more: str = "", target: str = "y", family: str = "gbdt"
) -> headrace.Run:
    folder.mkdir(parents=True, exist_ok=True)
    models = f"models: {{candidates: [{family}], search: {{trials: 0}}, gbdt: {{max_rounds: 40}}}}"
    (folder / "system.yaml").write_text(
        f"name: s\ngoal: {{target: {target}}}\ndata: {{{data}}}\n{models}\n{more}"
    )
    return headrace.run(headrace.load(folder))


def field(name: str) -> Path:
    if not (FIELD / name).exists():
        pytest.skip(f"no {FIELD / name}")
    return FIELD / name


@pytest.mark.parametrize("family", ["gbdt", "linear"])
def test_missing_where_training_had_none_is_the_typical_value(family: str, tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    level = chance.uniform(9, 18, 800)
    frame = pl.DataFrame(
        {
            "level": level,
            "other": chance.normal(size=800),
            "y": level + chance.normal(size=800) < 11,
        }
    )
    tmp_path.mkdir(exist_ok=True)
    frame.write_parquet(tmp_path / "t.parquet")
    predictor = headrace.open(system(tmp_path, "source: t.parquet", family=family).bundle)
    row = {"level": None, "other": 0.0}
    typical = predictor.predict([row | {"level": float(level.mean())}])[0]["prediction"]
    (found,) = predictor.predict([row])
    assert found["prediction"] == pytest.approx(typical, abs=0.02)
    assert found["imputed"] == ["level"]
    with pytest.warns(GapWarning, match="missing values where training had none: 'level'"):
        table = predictor.predict(pl.DataFrame({"level": [None, 12.0], "other": [0.0, 0.0]}))
    assert table["prediction"][0] == pytest.approx(found["prediction"], abs=1e-6)


def test_long_ids_stay_apart_as_ids_and_as_groups(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    owner = np.repeat(np.arange(100), 5)
    frame = pl.DataFrame(
        {
            "user": [str(11898508762506083000 + 7 * int(at)) for at in owner],
            "x": chance.normal(size=500),
        }
    ).with_columns(y=pl.Series(chance.random(500) < 0.4))
    frame.write_csv(tmp_path / "t.csv")
    run = system(tmp_path, "source: t.csv, group: user", "split: {by: group}\n")
    assert run.document.rows.train in range(330, 370)
    found = headrace.open(run.bundle)
    assert "user" not in {column.name for column in found.columns}


def test_a_holdout_is_read_as_the_source_was(tmp_path: Path) -> None:
    train, holdout = field("04-day-first/train.csv"), field("04-day-first/holdout.csv")
    run = system(tmp_path, f"source: {train}, holdout: {holdout}", target="cancelled")
    told = value_of(run.document, "roc_auc")
    assert told > 0.75
    predictions = headrace.open(run.bundle).predict(holdout).collect()["prediction"]
    held, _ = headrace.bundle.open_bundle(run.bundle).holdout()
    assert held["booked"].to_list()[0] == datetime(2024, 8, 9)
    stored = pl.read_parquet(run.bundle / "holdout.parquet")["prediction"]
    assert predictions.to_list() == pytest.approx(stored.to_list(), abs=1e-6)


def test_labels_that_are_whole_floats_are_classes(tmp_path: Path) -> None:
    run = system(tmp_path, f"source: {field('26-label-types/grades-pandas.csv')}", target="grade")
    assert run.document.task == "multiclass"
    assert run.document.classes == [0, 1, 2]


@pytest.mark.parametrize(
    "kind", ["zeros-in-rows", "zeros-in-events", "float-in-rows", "one-hole-in-rows", "plain"]
)
def test_keys_of_rows_and_events(kind: str, tmp_path: Path) -> None:
    rows, events = field(f"12-join-keys/rows-{kind}.csv"), field(f"12-join-keys/events-{kind}.csv")
    data = f"source: {rows}, time: asked, events: {{buys: {{source: {events}, time: at}}}}"
    windows = "features: {windows: [{name: n, events: buys, key: user, over: [all]}]}\n"
    if kind == "zeros-in-rows":
        with pytest.raises(InputError, match="leading zeros"):
            system(tmp_path, data, windows)
        return
    run = system(tmp_path, data, windows)
    column = next(one for one in run.document.columns if one.name == "n_all")
    assert column.distinct > 5
    if kind == "float-in-rows":
        assert headrace.materialize(headrace.load(tmp_path)).events == {"buys": 900}


def test_times_keep_their_zone(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    hours = chance.integers(0, 24 * 60, 900)
    at = [
        datetime(2024, 1, 1, tzinfo=UTC).replace(day=1 + int(h) // 24 % 28, hour=int(h) % 24)
        for h in hours
    ]
    frame = pl.DataFrame(
        {"at": at, "n": chance.normal(size=900), "y": [one.hour > 12 for one in at]}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    run = system(tmp_path, "source: t.parquet", "split: {by: random}\n")
    assert headrace.verify(run.bundle).passed
    predictor = headrace.open(run.bundle)
    row: dict[str, Any] = {"at": "2024-01-05T20:00:00+00:00", "n": 0.0}
    known = predictor.predict([row])[0]["prediction"]
    assert predictor.predict([row | {"at": "2024-01-05T22:00:00+02:00"}])[0]["prediction"] == known
    with pytest.raises(InputError, match="ISO 8601 time with a zone"):
        predictor.predict([row | {"at": "2024-01-05T20:00:00"}])
    with pytest.raises(InputError, match="with a zone"):
        predictor.predict(pl.DataFrame({"at": [datetime(2024, 1, 5, 20)], "n": [0.0]}))


def test_a_group_that_nobody_can_divide_is_none(tmp_path: Path) -> None:
    chance = np.random.default_rng(4)
    users = np.where(chance.random(600) < 0.6, 0, chance.integers(1, 80, 600))
    frame = pl.DataFrame(
        {"user_id": users, "x": chance.normal(size=600), "y": chance.random(600) < 0.4}
    )
    frame.write_csv(tmp_path / "t.csv")
    path, text = headrace.init(
        tmp_path / "t.csv", headrace.design.Answers(target="y"), tmp_path / "s"
    )
    assert "'user_id' cannot be the group: '0' alone owns" in text
    assert SEARCH in text
    path.write_text(text.replace(SEARCH, NO_SEARCH))
    assert headrace.run(headrace.load(tmp_path / "s")).bundle.is_dir()


def test_a_time_in_parts_is_split_by_time(tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    days = pl.datetime_range(
        datetime(2022, 1, 1), datetime(2023, 12, 31), "6h", eager=True
    ).shuffle(seed=1)
    frame = pl.DataFrame(
        {
            "year": days.dt.year(),
            "month": days.dt.month(),
            "day": days.dt.day(),
            "hr": days.dt.hour(),
        }
    )
    frame = frame.with_columns(x=pl.Series(chance.normal(size=len(days)))).with_columns(
        y=pl.col("x") + pl.col("hr")
    )
    frame.write_csv(tmp_path / "t.csv")
    path, text = headrace.init(
        tmp_path / "t.csv", headrace.design.Answers(target="y"), tmp_path / "s"
    )
    assert "time: [year, month, day, hr]  # together they hold the time of each row" in text
    assert "by: time" in text
    assert SEARCH in text
    path.write_text(text.replace(SEARCH, NO_SEARCH))
    run = headrace.run(headrace.load(tmp_path / "s"))
    assert run.document.borders[1].startswith("2023-09")
    why = {column.name: column.why for column in run.document.columns}
    assert "absolute time" in why["year"]
    assert why["year-month-day-hr"] == "the time"
    assert headrace.verify(run.bundle).passed


def test_vectors_with_a_hole_have_one_meaning(tmp_path: Path) -> None:
    chance = np.random.default_rng(6)
    values = chance.normal(size=(300, 3)).tolist()
    for at in range(0, 300, 7):
        values[at][1] = None
    frame = pl.DataFrame({"v": values, "y": [bool(row[0] > 0) for row in values]})
    frame.write_parquet(tmp_path / "t.parquet")
    run = system(tmp_path, "source: t.parquet", family="linear")
    predictor = headrace.open(run.bundle)
    table = predictor.predict(frame.head(10))["prediction"].to_list()
    assert [
        one["prediction"] for one in predictor.predict(frame.head(10).to_dicts())
    ] == pytest.approx(table, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_a_table_of_noise_does_not_go_live(number: int, tmp_path: Path) -> None:
    source = field(f"29-chance-passes-the-gate/noise-{number}.csv")
    path, text = headrace.init(source, headrace.design.Answers(target="fraud"), tmp_path)
    path.write_text(text.replace("{trials: 20, seconds: 60}", "{trials: 2, seconds: 10}"))
    assert not headrace.run(headrace.load(tmp_path)).document.promoted


@pytest.mark.parametrize("name", ["five", "three", "two"])
def test_a_handful_of_positives_does_not_go_live(name: str, tmp_path: Path) -> None:
    source = field(f"20-rare-class/{name}.csv")
    path, text = headrace.init(source, headrace.design.Answers(target="fraud"), tmp_path)
    assert SEARCH in text
    path.write_text(text.replace(SEARCH, NO_SEARCH))
    try:
        document = headrace.run(headrace.load(tmp_path)).document
    except InputError as error:
        assert "class" in str(error)
        return
    assert not document.promoted
    assert any("too few rows of the rarer class to tell" in gate.why for gate in document.gates)
