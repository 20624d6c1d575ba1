"""Predict with a bundle's graph and nothing of Headrace: ONNX Runtime runs it, Polars reads the
rows.

    python examples/embed/predict.py BUNDLE

The graph's inputs are grouped by type, and its metadata entry `columns` names the raw columns of
each group:

    numbers  float32 [N, n]   missing is NaN
    doubles  float64 [N, n]   missing is NaN
    strings  text    [N, s]   missing is the empty string
    times    int64   [N, t]   microseconds since 1970 in UTC; missing is the smallest int64
    vector_NAME float32 [N, d]  a column of vectors; missing is all NaN

Any language with ONNX Runtime can do the same.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl

SMALLEST = np.iinfo(np.int64).min


def feeds(rows: pl.DataFrame, groups: dict[str, list[str]]) -> dict[str, Any]:
    """The graph's inputs for some rows."""
    made: dict[str, Any] = {}
    for group, columns in groups.items():
        part = rows.select(columns)
        if group == "strings":
            made[group] = part.cast(pl.String).fill_null("").to_numpy().astype(object)
        elif group.startswith("vector_"):
            made[group] = np.array(
                [[np.nan] if row is None else row for row in part.to_series()], np.float32
            )
        elif group == "times":
            made[group] = (
                part.select(pl.all().to_physical().fill_null(SMALLEST)).to_numpy().astype(np.int64)
            )
        else:
            kind = np.float32 if group == "numbers" else np.float64
            made[group] = part.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(kind)
    return made


def predict(bundle: Path, rows: pl.DataFrame) -> Any:
    """Predictions `(N,)` for rows of raw columns."""
    session = onnxruntime.InferenceSession(
        str(bundle / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    groups = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    return session.run(["prediction"], feeds(rows, groups))[0][:, 0]


def main() -> None:
    """Reproduces the predictions that the bundle's holdout rows got when it was built."""
    bundle = Path(sys.argv[1])
    holdout = pl.read_parquet(bundle / "holdout.parquet")
    stored, now = holdout["prediction"].to_numpy(), predict(bundle, holdout)
    if stored.dtype == object:
        print(f"{len(now)} rows, {(stored == now).sum()} equal labels")
    else:
        worst = np.abs(now - stored).max()
        print(f"{len(now)} rows, largest difference from the stored predictions: {worst:.2g}")


if __name__ == "__main__":
    main()
