"""The main job on real data: the Adult census, its official test file as holdout."""

from pathlib import Path

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import millrace


def test_income_end_to_end(income: Path) -> None:
    run = millrace.run(millrace.load(income))
    assert run.document["metric"]["test"] >= 0.925
    assert run.document["rows"]["test"] == 16_281
    truth = pl.read_csv(income / "test.csv.gz")[" classification"].str.strip_chars() == ">50K"
    predictions = millrace.open(run.bundle).predict(income / "test.csv.gz").collect()["prediction"]
    assert roc_auc_score(truth, predictions) == pytest.approx(run.document["metric"]["test"], abs=1e-12)
    assert millrace.verify(run.bundle).passed
