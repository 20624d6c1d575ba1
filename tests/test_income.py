"""The main job on real data: the Adult census, its official test file as holdout."""

from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import headrace
from tests.conftest import value_of
from tests.contracts.test_doors import DOORS


def test_income_end_to_end(income: Path, tmp_path: Path) -> None:
    run = headrace.run(headrace.load(income))
    assert value_of(run.document, "roc_auc") >= 0.925
    assert run.document.rows.test == 16_281
    truth = pl.read_csv(income / "test.csv.gz")[" classification"].str.strip_chars() == ">50K"
    predictions = headrace.open(run.bundle).predict(income / "test.csv.gz").collect()["prediction"]
    assert roc_auc_score(truth, predictions) == pytest.approx(run.document.metric.test, abs=1e-12)
    assert headrace.verify(run.bundle).passed
    # Its values and names begin with a blank; whatever reads them, whatever they come in as, the
    # answer is the same.
    asked = pl.read_csv(income / "test.csv.gz", infer_schema=False)
    typed = pd.read_csv(income / "test.csv.gz")
    assert typed.columns[1] == " workclass"
    assert typed[" workclass"][0] == " Private"
    for name, door in DOORS.items():
        if name in ("one by one", "padded names", "/v2"):
            # A row at a time takes long; the contract holds tensors and other blanks to the rest.
            continue
        found = door(
            run.bundle, asked.head(2_000) if name.startswith(("/", "padded")) else asked, tmp_path
        )
        assert found == pytest.approx(predictions[: len(found)].to_list(), abs=1e-6), name
    assert headrace.open(run.bundle).predict(typed)["prediction"].to_list() == pytest.approx(
        list(predictions), abs=1e-6
    )
