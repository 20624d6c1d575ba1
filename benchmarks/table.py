"""The common task: a seeded table of 12 numeric and 8 text columns of up to 2,000 categories."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

import headrace
from headrace.predict import Predictor
from headrace.spec import Data, GbdtParams, Goal, Models, Search, SplitSpec, System, with_root

NUMERIC = [f"num_{position}" for position in range(12)]
SIZES = [5, 10, 20, 50, 100, 300, 1000, 2000]
TEXT = [f"cat_{position}" for position in range(8)]
TREES = 200


def table(rows: int, seed: int, missing: bool = True) -> pl.DataFrame:
    """Rows with a 0/1 `target` that depends on all columns; three numeric ones miss 5 %."""
    world, chance = np.random.default_rng(1), np.random.default_rng(seed)
    x = chance.normal(size=(rows, 12))
    x[:, 3], x[:, 7] = np.exp(x[:, 3]), np.round(x[:, 7] * 10)
    score = (
        np.sin(2 * x[:, 0])
        + x[:, 1] * x[:, 2]
        + 0.7 * (x[:, 3] > 1.5)
        - 0.5 * x[:, 4] ** 2
        + 0.05 * x[:, 7]
    )
    columns: dict[str, pl.Series] = {}
    for position, name in enumerate(NUMERIC):
        values = x[:, position].copy()
        if missing and position in (2, 5, 9):
            values[chance.random(rows) < 0.05] = np.nan
        columns[name] = pl.Series(values).fill_nan(None)
    for name, size in zip(TEXT, SIZES, strict=True):
        weights = 1.0 / np.arange(1, size + 1) ** 0.7
        codes = chance.choice(size, size=rows, p=weights / weights.sum())
        score += world.normal(scale=0.6, size=size)[codes]
        columns[name] = pl.Series([f"{name}_value_{code:04d}" for code in range(size)]).gather(
            codes
        )
    columns["target"] = pl.Series((chance.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int64))
    return pl.DataFrame(columns)


def system(folder: Path, rows: int, rounds: int | None = TREES, name: str = "bench") -> System:
    """A system over such a table, written to `folder`."""
    table(rows, seed=7).write_parquet(folder / "table.parquet")
    return with_root(
        System(
            name=name,
            goal=Goal(target="target", task="binary", positive=1, metric="roc_auc"),
            data=Data(source="table.parquet"),
            split=SplitSpec(by="random"),
            models=Models(
                candidates=["gbdt"],
                search=Search(trials=0),
                calibrate=False,
                gbdt=GbdtParams(rounds=rounds, learning_rate=0.1),
            ),
        ),
        folder,
    )


def predictor(rows: int = 100_000) -> Predictor:
    """A Headrace model of 200 trees with 31 leaves on that table."""
    with tempfile.TemporaryDirectory() as folder:
        return headrace.open(headrace.run(system(Path(folder), rows)).bundle)
