"""Training: test rows never enter, the resolved spec gives the same model, noise is chance."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import headrace
from headrace import Run
from headrace.errors import InputError
from tests.conftest import Runs, make_table, value_of, write_system


def run(folder: Path) -> Run:
    return headrace.run(headrace.load(folder))


def model_of(result: Run) -> bytes:
    return (result.bundle / "model.onnx").read_bytes()


@pytest.mark.parametrize("family", ["linear", "gbdt"])
@pytest.mark.parametrize("by", ["time", "random"])
def test_the_resolved_spec_gives_the_same_model_byte_for_byte(
    tmp_path: Path, family: str, by: str
) -> None:
    folder = write_system(tmp_path / "first", "binary", family, rows=600, by=by)
    first = run(folder)
    again = tmp_path / "again"
    again.mkdir()
    (again / "rows.parquet").write_bytes((folder / "rows.parquet").read_bytes())
    (again / "system.yaml").write_bytes((first.bundle / "system.yaml").read_bytes())
    assert model_of(run(again)) == model_of(first)


def test_the_same_spec_and_data_give_the_same_model(tmp_path: Path) -> None:
    folder = write_system(tmp_path, "multiclass", "gbdt", rows=600)
    assert model_of(run(folder)) == model_of(headrace.run(headrace.load(folder), fresh=True))


def test_test_rows_never_enter_the_model(tmp_path: Path) -> None:
    folder = write_system(tmp_path, "regression", "gbdt", rows=800, by="time")
    before = run(folder)
    frame = pl.read_parquet(folder / "rows.parquet")
    last = pl.int_range(pl.len()) >= int(0.85 * 800)
    frame = frame.with_columns(
        pl.when(last).then(pl.col("amount") * -7).otherwise(pl.col("amount")).alias("amount"),
        pl.when(last).then(pl.lit("new")).otherwise(pl.col("colour")).alias("colour"),
        pl.when(last).then(pl.col("z") + 1000).otherwise(pl.col("z")).alias("z"),
    )
    frame.write_parquet(folder / "rows.parquet")
    after = run(folder)
    assert model_of(after) == model_of(before)
    assert after.document.metrics["test"] != before.document.metrics["test"]


def test_noise_scores_at_chance(tmp_path: Path) -> None:
    folder = write_system(tmp_path, "binary", "gbdt", rows=3000)
    frame = pl.read_parquet(folder / "rows.parquet")
    noise = np.random.default_rng(5).choice(["no", "yes"], frame.height)
    frame.with_columns(label=pl.Series(noise)).write_parquet(folder / "rows.parquet")
    document = run(folder).document
    assert abs(value_of(document, "roc_auc") - 0.5) < 0.09  # three standard errors of 450 rows
    assert abs(value_of(document, "roc_auc", "validation") - 0.5) < 0.05


def test_enough_validation_rows_choose_alone_and_fewer_choose_by_folds(tmp_path: Path) -> None:
    few = run(write_system(tmp_path / "few", "binary", "linear", rows=900)).document
    many = run(write_system(tmp_path / "many", "binary", "linear", rows=15_000)).document
    assert "5 folds" in few.method
    assert "validation rows" in many.method
    assert few.rows.fitted == few.rows.train + few.rows.validation


@pytest.mark.parametrize(("seconds", "folds"), [(60, 5), (3, 3), (0.2, 2)])
def test_long_texts_leave_fewer_folds(tmp_path: Path, seconds: float, folds: int) -> None:
    """A hundred texts of a thousand characters: a tenth of a million for each fold."""
    chance = np.random.default_rng(1)
    words = ["good", "bad", "late", "soon", "card", "bank", "money", "lost"]
    texts = [" ".join(chance.choice(words, 205))[:1_000].ljust(1_000) for _ in range(100)]
    rows = pl.DataFrame(
        {"body": texts, "y": [text.split(" ").count("good") > 25 for text in texts]}
    )
    rows.write_csv(tmp_path / "t.csv")
    (tmp_path / "system.yaml").write_text(
        "name: t\ngoal: {target: y}\ndata: {source: t.csv}\n"
        "features: {columns: {body: {kind: text}}}\n"
        f"models: {{candidates: [linear], search: {{trials: 1, seconds: {seconds}}}}}\n"
    )
    assert run(tmp_path).document.method.startswith(f"{folds} folds")


def test_the_best_candidate_wins(tmp_path: Path) -> None:
    folder = write_system(tmp_path, "regression", "gbdt", rows=900)
    text = (folder / "system.yaml").read_text().replace("[gbdt]", "[baseline, linear, gbdt]")
    (folder / "system.yaml").write_text(text)
    document = run(folder).document
    values = {one.family: one.value for one in document.candidates if one.value is not None}
    assert set(values) == {"baseline", "linear", "gbdt"}
    assert document.winner.family == min(values, key=lambda family: values[family])


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("family", ["baseline", "linear", "gbdt"])
def test_every_family_in_every_task(runs: Runs, task: str, family: str) -> None:
    document = runs(task, family).document
    assert document.parity <= 1e-5
    if family != "baseline":
        name = document.metric.name
        gain = value_of(document, name) - value_of(document, name, "baseline")
        assert (gain > 0) == document.metric.higher_is_better
        assert not [
            finding for finding in document.findings if finding.check == "evaluate.baseline"
        ]
    else:
        assert [finding.check for finding in document.findings] == [
            "split.time_like",
            "evaluate.baseline",
        ]


def test_twenty_rows_are_enough_to_run(tmp_path: Path) -> None:
    document = run(write_system(tmp_path, "binary", "linear", rows=20)).document
    assert document.rows.test == 3


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    notes = [f"note {number}" for number in range(300)]
    pl.DataFrame({"label": [0, 1] * 150, "x": ["same"] * 300, "note": notes}).write_csv(
        tmp_path / "rows.csv"
    )
    (tmp_path / "system.yaml").write_text(
        "name: a\ngoal: {target: label}\ndata: {source: rows.csv}\n"
    )
    with pytest.raises(InputError, match=r"no column to learn from.*constant"):
        run(tmp_path)


def test_a_window_feature_reaches_the_matrix(tmp_path: Path) -> None:
    rows = make_table(600, 3).select("at", "owner", "z").with_row_index("row")
    events = pl.DataFrame({"owner": rows["owner"], "at": rows["at"].dt.offset_by("-30m")})
    events = pl.concat([events.filter(pl.int_range(pl.len()) % 3 == 0)] * 2)
    clicked = rows.with_columns(label=pl.when(pl.int_range(pl.len()) % 3 == 0).then(1).otherwise(0))
    clicked.write_parquet(tmp_path / "rows.parquet")
    events.write_csv(tmp_path / "clicks.csv")
    (tmp_path / "system.yaml").write_text(
        """
name: clicks
goal: {target: label}
data: {source: rows.parquet, id: row, time: at, events: {clicks: {source: clicks.csv, time: at}}}
features:
  exclude: [owner]
  windows: [{name: recent, events: clicks, key: owner, over: [1h]}]
models: {candidates: [gbdt], search: {trials: 0}, gbdt: {max_rounds: 40}}
"""
    )
    result = run(tmp_path)
    assert "recent_1h" in result.document.features
    assert value_of(result.document, "roc_auc") > 0.95
    holdout = pl.read_parquet(result.bundle / "holdout.parquet")
    assert holdout["recent_1h"].max() == 2
    predictor = headrace.open(result.bundle)
    with pytest.raises(InputError, match=r"recent_1h.*window feature's column must be in the rows"):
        predictor.predict(holdout.drop("recent_1h"))
    assert headrace.verify(result.bundle).passed


@pytest.mark.parametrize("family", ["linear", "gbdt"])
def test_members_without_settings_have_the_defaults(tmp_path: Path, family: str) -> None:
    folder = write_system(tmp_path, "regression", family)
    text = (folder / "system.yaml").read_text()
    stated = text.replace(f"candidates: [{family}]", f"members: [{{family: {family}}}]")
    (folder / "system.yaml").write_text(stated)
    assert headrace.run(headrace.load(folder)).document.winner.family == family
