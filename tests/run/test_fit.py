"""Training from a table in memory: the same bundle as from a file, and what a notebook shows."""

import hashlib
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

import headrace
from headrace.design import Answers
from headrace.errors import InputError
from tests.conftest import EXAMPLES, Runs, make_table

FILES = ("model.onnx", "schema.json", "holdout.parquet", "profile.json")


def sums(bundle: Path) -> dict[str, str]:
    return {file: hashlib.sha256((bundle / file).read_bytes()).hexdigest() for file in FILES}


def test_a_frame_gives_the_bundle_of_its_file(tmp_path: Path) -> None:
    """The file has blanks after each comma, which neither reader takes away."""
    rows = pl.read_csv(EXAMPLES / "income" / "train.csv.gz", infer_schema=False).head(1_500)
    source = tmp_path / "rows.csv"
    rows.write_csv(source)
    answers = Answers(target="classification", name="classification", trials="0")
    headrace.init(source, answers, tmp_path / "file")
    expected = headrace.run(tmp_path / "file")
    for kind, table in {"pandas": pd.read_csv(source), "polars": pl.read_csv(source)}.items():
        found = headrace.fit(table, "classification", tmp_path / kind, trials=0)
        assert sums(found.bundle) == sums(expected.bundle), kind
        assert found.document.fingerprints == expected.document.fingerprints


def test_a_fit_goes_on_in_its_folder_until_a_person_edits_the_spec(tmp_path: Path) -> None:
    table = make_table(300, 2).select("x", "z", "at", "label")
    first = headrace.fit(table, "label", tmp_path, trials=0, time=None)
    assert first.model == "label@1"
    assert headrace.fit(table, "label", tmp_path, trials=0).document.cached
    second = headrace.fit(table.head(290), "label", tmp_path, trials=0, metric="log_loss")
    assert second.model == "label@2"
    assert second.document.metric.name == "log_loss"
    assert [one.model for one in headrace.runs(tmp_path)] == ["label@2", "label@1"]

    spec = tmp_path / "system.yaml"
    spec.write_text(spec.read_text().replace("# headrace.fit", "# it was fit that"))
    with pytest.raises(InputError, match=r"a spec that a person wrote.*headrace\.run"):
        headrace.fit(table, "label", tmp_path)
    assert headrace.run(tmp_path).model == "label@2"


def test_a_holdout_may_be_a_table_too(tmp_path: Path) -> None:
    rows = make_table(500, 2).select("x", "z", "amount")
    test = rows.tail(100)
    run = headrace.fit(rows.head(400), "amount", tmp_path, holdout=test.to_pandas(), trials=0)
    assert run.document.rows.test == 100
    assert run.open().predict(test)["prediction"].len() == 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"table": [1, 2], "target": "y"}, "data of type list"),
        ({"target": "labl"}, "did you mean 'label'?"),
        ({"metrc": "rmse"}, "no argument 'metrc'"),
        ({"metric": "rmse"}, "--metric"),
    ],
)
def test_wrong_arguments_get_one_clear_error(
    tmp_path: Path, arguments: dict[str, object], words: str
) -> None:
    table = make_table(100, 2).select("x", "label")
    given = {"table": table, "target": "label", "folder": tmp_path} | arguments
    with pytest.raises(InputError) as error:
        headrace.fit(**given)  # type: ignore[arg-type]
    assert words in str(error.value)
    assert not (tmp_path / "system.yaml").exists()


def test_a_notebook_shows_what_matters(runs: Runs) -> None:
    run = runs("binary", "gbdt")
    folder = run.bundle.parent.parent.parent
    assert repr(run).startswith("Run(binary@1: gbdt, test roc_auc 0.")
    page = run._repr_html_()
    assert "ROC AUC (decides)" in page
    assert run.report.as_uri() in page

    model = run.open()
    assert repr(model) == f"Predictor(binary@1: label, binary, {len(model.columns)} columns)"
    assert "<code>prediction</code> is the probability of <code>yes</code>" in model._repr_html_()
    assert (
        repr(headrace.load(folder))
        == "System(binary: label, a task to be inferred, from rows.parquet)"
    )
    assert "<details>" in headrace.load(folder)._repr_html_()
    explored = headrace.explore(folder)
    assert repr(explored).startswith("Exploration(binary: 1,500 rows × 12 columns, ")
    assert "explains alone" in explored._repr_html_()


def test_names_of_strangers_are_only_text_in_a_notebook(tmp_path: Path) -> None:
    table = make_table(300, 2).select(pl.col("x").alias("<script>x</script>"), "z", "label")
    run = headrace.fit(table, "label", tmp_path, trials=0)
    for shown in (run, run.open(), headrace.load(tmp_path), headrace.explore(tmp_path)):
        assert "<script>" not in shown._repr_html_()


def test_a_refused_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    table = make_table(100, 2).select("x", "label")
    folder = tmp_path / "new"
    for given in ({"target": "nope"}, {"target": "label", "metric": "rmse"}):
        with pytest.raises(InputError):
            headrace.fit(table, folder=folder, **given)  # type: ignore[arg-type]
    assert list(tmp_path.rglob("*.parquet")) == []
    with pytest.raises(InputError, match="a table without rows"):
        headrace.fit(table.head(0), "label", folder)
    first = headrace.fit(table, "label", folder, trials=0)
    stored = folder / ".headrace" / "frames" / "source.parquet"
    before = stored.read_bytes()
    with pytest.raises(InputError):
        headrace.fit(table.head(50), "label", folder, metric="rmse")
    assert stored.read_bytes() == before
    assert headrace.run(folder).model == first.model


def test_types_that_only_pandas_has(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0] * 30, "y": [True, False] * 60})
    table["month"] = pd.period_range("2020-01", periods=120, freq="M")
    table["band"] = pd.cut(table["x"], 3)
    table["rare"] = pd.arrays.SparseArray([0, 0, 0, 5] * 30)
    run = headrace.fit(table, "y", tmp_path, positive=True, trials=0)
    kinds = {column.name: column.kind for column in run.document.columns}
    assert kinds["band"] == "categorical"
    assert kinds["rare"] == "numeric"
    assert run.open().predict(table).index.equals(table.index)
    numbered = pd.DataFrame({0: [at**0.5 for at in range(120)], 1: [0, 1] * 60})
    assert headrace.fit(numbered, 1, tmp_path / "n", trials=0).document.target == "1"  # type: ignore[arg-type]
    for wrong in (table["x"], [1]):
        with pytest.raises(InputError, match="data of type"):
            headrace.fit(wrong, "x", tmp_path / "w")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; expected a folder"):
        headrace.fit(table, "y", tmp_path / "file" / "x")
