"""Runs in lines and models side by side, against scikit-learn on the rows that both have."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import headrace
from headrace.errors import InputError
from headrace.registry.compare import FieldDifference
from tests.conftest import Runs, write_system


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: the second with another penalty, the third with another seed, so that its test
    rows are others.
    """
    home = write_system(tmp_path_factory.mktemp("runs"), "binary", "linear", rows=600)
    spec = home / "system.yaml"
    text = spec.read_text()
    for more in ("", "  linear: {l2: 1.0}\n", "seed: 8\n"):
        spec.write_text(text + more)
        headrace.run(headrace.load(home))
    return home


def test_every_run_is_a_line(folder: Path) -> None:
    found = headrace.runs(folder)
    assert [one.model for one in found] == ["binary@3", "binary@2", "binary@1"]
    assert [one.aliases for one in found] == [["champion"], [], []]
    assert len({one.spec_hash for one in found}) == 3
    assert all(one.promoted for one in found)
    with pytest.raises(InputError, match="no workspace in"):
        headrace.runs(folder / "none")


def holdout(folder: Path, version: int) -> pl.DataFrame:
    return pl.read_parquet(
        folder / ".headrace" / "bundles" / f"binary-{version:06d}" / "holdout.parquet"
    )


def test_side_by_side_on_the_same_rows(folder: Path) -> None:
    found = headrace.compare(["binary@1", "binary@2"], folder)
    rows = holdout(folder, 1)
    assert found.document.rows == rows.height
    for at, version in enumerate((1, 2)):
        expected = roc_auc_score(rows["label"] == "yes", holdout(folder, version)["prediction"])
        assert found.document.metrics["roc_auc"][at] == pytest.approx(expected)
    (low, high), (first, second) = (
        found.document.gains["log_loss"][0],
        found.document.metrics["log_loss"],
    )
    assert low < first - second < high
    assert FieldDifference("models.linear.l2", [1e-4, 1.0]) in found.document.spec
    page = found.page.read_text()
    assert "binary@2 is" in page
    assert "models.linear.l2" in page
    assert page.count("<svg") == 3


def test_only_common_rows_count(folder: Path) -> None:
    found = headrace.compare(["binary@1", "binary@3", "binary@2"], folder).document
    both = holdout(folder, 1).join(holdout(folder, 3), on="row", suffix="_3")
    assert 0 < found.rows == both.height < holdout(folder, 1).height
    assert found.metrics["roc_auc"][1] == pytest.approx(
        roc_auc_score(both["label"] == "yes", both["prediction_3"])
    )
    assert len(found.gains["roc_auc"]) == 2


def test_one_with_itself_is_even(folder: Path) -> None:
    found = headrace.compare(["binary@1", "binary@1"], folder).document
    assert np.allclose(
        [gain for gains in found.gains.values() for pair in gains for gain in pair], 0
    )
    assert found.spec == []


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks(runs: Runs, task: str) -> None:
    bundle = runs(task, "linear").bundle
    found = headrace.compare(
        [str(bundle), str(runs(task, "gbdt").bundle)], bundle.parent.parent.parent
    )
    assert found.document.rows > 100
    assert "Wrote" not in found.page.read_text()


def test_what_cannot_be_compared(folder: Path, runs: Runs) -> None:
    with pytest.raises(InputError, match="at least two"):
        headrace.compare(["binary@1"], folder)
    with pytest.raises(InputError, match="different targets"):
        headrace.compare(["binary@1", str(runs("regression", "linear").bundle)], folder)
