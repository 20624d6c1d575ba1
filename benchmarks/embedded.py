"""In process: one row, and a million rows from Parquet to Parquet, beside scikit-learn and MLflow
on the same table.

    python benchmarks/embedded.py

The peers are what their users would serve: imputer, ordinal encoder and LightGBM (200 trees, 31
leaves) in one scikit-learn pipeline, and that pipeline saved and loaded by MLflow as pyfunc. MLflow
is reported as not run where it is not installed. Every figure is the median of repeats that take
turns, so that a machine that slows down slows all.
"""

import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from table import NUMERIC, TEXT, TREES, predictor, table

from headrace.predict import Predictor, predict_file

REPEATS = 5
BATCH_ROWS = 1_000_000
Row = dict[str, Any]


def pipeline(rows: int = 100_000) -> Any:
    """The peer's model."""
    data = table(rows, seed=7).to_pandas()
    prepare = ColumnTransformer(
        [
            ("numeric", SimpleImputer(strategy="median"), NUMERIC),
            ("text", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), TEXT),
        ]
    )
    model = LGBMClassifier(n_estimators=TREES, num_leaves=31, random_state=0, verbose=-1)
    return Pipeline([("prepare", prepare), ("model", model)]).fit(
        data[NUMERIC + TEXT], data["target"]
    )


def mlflow_model(fitted: Any, folder: Path) -> Any:
    """The same pipeline as MLflow loads it, or nothing where MLflow is not installed."""
    try:
        import mlflow
    except ImportError:
        return None
    mlflow.sklearn.save_model(
        fitted,
        str(folder / "mlflow"),
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
    )
    return mlflow.pyfunc.load_model(str(folder / "mlflow"))


def p50_us(
    call: Callable[[Row], Any], rows: list[Row], seconds: float = 1.0
) -> tuple[float, float]:
    """The median and the 99th percentile of single calls, rows varying."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < end:
        row = rows[number % len(rows)]
        begin = time.perf_counter()
        call(row)
        times.append(time.perf_counter() - begin)
        number += 1
    return float(np.quantile(times, 0.5)) * 1e6, float(np.quantile(times, 0.99)) * 1e6


def single(ours: Predictor, fitted: Any, loaded: Any) -> dict[str, Any]:
    """One row: a dict in, a prediction out."""
    rows = table(2_000, seed=99, missing=False).drop("target").to_dicts()
    holes = table(2_000, seed=98).drop("target").to_dicts()
    calls: dict[str, tuple[Callable[[Row], Any], list[Row]]] = {
        "headrace": (lambda row: ours.predict([row]), rows),
        "headrace, with missing values": (lambda row: ours.predict([row]), holes),
        "scikit-learn pipeline": (lambda row: fitted.predict_proba(pd.DataFrame([row])), rows),
    }
    if loaded is not None:
        calls["mlflow pyfunc"] = (lambda row: loaded.predict(pd.DataFrame([row])), rows)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(REPEATS):
        for name, (call, given) in calls.items():
            found[name].append(p50_us(call, given))
    return {
        name: {
            "p50_us": round(statistics.median(a for a, _ in times), 1),
            "p99_us": round(statistics.median(b for _, b in times), 1),
        }
        for name, times in found.items()
    }


def batch(ours: Predictor, fitted: Any, loaded: Any, folder: Path) -> dict[str, Any]:
    """A million rows from file to file."""
    source, target = folder / "rows.parquet", folder / "scores.parquet"
    table(BATCH_ROWS, seed=5).drop("target").write_parquet(source)

    def by_pandas(score: Callable[[Any], Any]) -> None:
        scores = score(pd.read_parquet(source))
        pd.DataFrame({"score": scores}).to_parquet(target)

    jobs: dict[str, Callable[[], Any]] = {
        "headrace": lambda: predict_file(ours, source, target),
        "scikit-learn pipeline + pandas": lambda: by_pandas(
            lambda rows: fitted.predict_proba(rows)[:, 1]
        ),
    }
    if loaded is not None:
        jobs["mlflow pyfunc + pandas"] = lambda: by_pandas(lambda rows: loaded.predict(rows)[:, 1])
    speeds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(3):
        for name, job in jobs.items():
            begin = time.perf_counter()
            job()
            speeds[name].append(BATCH_ROWS / (time.perf_counter() - begin))
    return {name: f"{statistics.median(found):,.0f} rows/s" for name, found in speeds.items()}


def main() -> None:
    warnings.filterwarnings("ignore")
    ours, fitted = predictor(), pipeline()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loaded = mlflow_model(fitted, folder)
        results = {
            "one row": single(ours, fitted, loaded),
            "batch, 1M rows, Parquet to Parquet": batch(ours, fitted, loaded, folder),
        }
    if loaded is None:
        results["mlflow"] = {"not run": "not installed (pip install mlflow)"}
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
