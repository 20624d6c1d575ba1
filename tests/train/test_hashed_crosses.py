"""A cross without a dictionary, from the spec to the served prediction."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import headrace


@pytest.mark.parametrize("family", ["linear", "gbdt", "forest"])
def test_an_interaction_that_no_column_shows_alone(tmp_path: Path, family: str) -> None:
    chance = np.random.default_rng(1)
    rows = 4000
    a, b = chance.integers(0, 12, rows), chance.integers(0, 12, rows)
    y = ((a + b) % 2 == 0) ^ (chance.random(rows) < 0.05)
    table = pl.DataFrame(
        {
            "a": [f"a{at}" for at in a],
            "b": [f"b{at}" for at in b],
            "x": chance.normal(size=rows),  # without it most rows would repeat each other
            "y": np.where(y, "yes", "no"),
        }
    ).sample(fraction=1.0, shuffle=True, seed=2)
    table.with_columns(row=pl.int_range(rows)).write_parquet(tmp_path / "rows.parquet")
    cross = "{of: [a, b], encode: hash, bits: 18}"
    (tmp_path / "system.yaml").write_text(
        f"""
name: cross
goal: {{target: y, task: binary, metric: roc_auc}}
data: {{source: rows.parquet, id: row}}
features: {{crosses: [{cross}]}}
models: {{candidates: [{family}], search: {{trials: 0}}, gbdt: {{max_rounds: 60}}}}
"""
    )
    run = headrace.run(tmp_path)
    assert run.document.metric.test is not None
    # trees see the number of a bucket, and need many splits for what a weight a bucket says
    assert run.document.metric.test > (0.9 if family == "linear" else 0.6)
    assert headrace.verify(run.bundle).passed
    model = headrace.open(run.bundle)
    given: list[dict[str, Any]] = [
        {"a": "a1", "b": "b1", "x": 0.1},
        {"a": "new", "b": None, "x": 2.0},
    ]
    together = [one["prediction"] for one in model.predict(given)]
    assert together == [model.predict([one])[0]["prediction"] for one in given]
    assert list(run.document.importances)[-1] == "x"
