"""How far a reply may be off: by the target's scale, and by labels that are as likely."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from headrace.bundle import open_bundle, same_reply
from tests.conftest import Runs


@pytest.mark.parametrize(
    ("found", "golden", "scale", "same"),
    [
        (1.000009, 1.0, 1.0, True),
        (1.00002, 1.0, 1.0, False),
        (100_000.9, 100_000.0, 1.0, True),
        (10.6, 10.0, 68_000.0, True),
        (10.7, 10.0, 68_000.0, False),
        (1.00002, 1.0, 0.001, False),
        (True, False, 1e9, False),
        (float("nan"), 1.0, 1.0, False),
    ],
)
def test_numbers_may_be_off_by_the_scale(
    found: float, golden: float, scale: float, same: bool
) -> None:
    assert same_reply({"prediction": found}, {"prediction": golden}, scale) is same


@pytest.mark.parametrize(
    ("label", "same"), [("a", True), ("b", True), ("c", False), ("d", False), (None, False)]
)
def test_a_label_may_be_one_that_is_as_likely(label: Any, same: bool) -> None:
    golden = {"prediction": "a", "probabilities": {"a": 0.400001, "b": 0.4, "c": 0.199999}}
    assert same_reply(golden | {"prediction": label}, golden) is same


def test_a_regression_keeps_the_deviation_of_its_target(runs: Runs) -> None:
    bundle = open_bundle(runs("regression", "gbdt").bundle)
    rows = pl.read_parquet(bundle.path.parent.parent.parent / "rows.parquet")
    holdout, _ = bundle.holdout()
    fitted = rows.filter(~pl.col("row").is_in(holdout["row"].to_list()))
    assert bundle.manifest.unit == pytest.approx(np.std(fitted["amount"].to_numpy()))
    assert open_bundle(runs("binary", "gbdt").bundle).manifest.unit == 1.0
