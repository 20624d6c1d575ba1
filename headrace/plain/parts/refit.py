"""Fits the members, predicts with them, and compares with the bundle."""

# mypy: ignore-errors

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.special import expit, softmax

from headrace.plain.parts.families import FAMILIES
from headrace.plain.parts.matrix import TRAINING, encode, fit_encoders
from headrace.plain.parts.table import SETTINGS, encode_target, read_table


def to_scores(raw: np.ndarray) -> np.ndarray:
    """Turn raw scores into probabilities, or leave values as they are."""
    if not SETTINGS["classes"]:
        return raw
    return expit(raw) if raw.ndim == 1 else softmax(raw, axis=1)


def to_raw(scores: np.ndarray) -> np.ndarray:
    """Turn probabilities into raw scores."""
    inside = np.clip(scores.astype(np.float64), 1e-12, 1 - 1e-12)
    return np.log(inside) - np.log1p(-inside) if scores.ndim == 1 else np.log(inside)


def calibrate(scores: np.ndarray) -> np.ndarray:
    """Calibrate scores as the run has chosen."""
    calibration = SETTINGS["calibration"]
    if calibration is None:
        return scores
    raw = to_raw(scores)
    if calibration["method"] == "isotonic":
        return np.interp(raw, calibration["x"], calibration["y"])
    return to_scores(raw * calibration["slope"] + calibration["intercept"])


def fit_models(frame: pl.DataFrame) -> list[Any]:
    """Fit every member on the rows that the run has chosen."""
    rows = pl.read_parquet(Path(__file__).parent / "rows.parquet")
    frame = frame.filter(frame[SETTINGS["target"]].is_not_null())[rows["row"]]
    y = encode_target(frame[SETTINGS["target"]])
    drawn = rows["drawn"].to_numpy()
    weight = rows["weight"].to_numpy()[drawn] if "weight" in rows.columns else None
    models = []
    for member in SETTINGS["members"]:
        states = fit_encoders(member, frame, y)
        X = encode(member, states, frame)
        for replace in TRAINING.values():
            X = replace(member, X, frame, y)
        fit, _ = FAMILIES[member["family"]]
        models.append((states, fit(member, X[drawn], y[drawn], weight)))
    return models


def predict(models: list[Any], frame: pl.DataFrame) -> np.ndarray:
    """Predict rows: probabilities of the event, probabilities of each class, or values."""
    total: Any = 0.0
    weights = sum(member["weight"] for member in SETTINGS["members"])
    for member, (states, model) in zip(SETTINGS["members"], models, strict=True):
        raw = FAMILIES[member["family"]][1](member, model, encode(member, states, frame))
        scores = to_scores(raw + np.array(SETTINGS["shift"]) if SETTINGS["shift"] else raw)
        total = total + member["weight"] / weights * scores
    return calibrate(total)


def main() -> None:
    """Fit the model, predict the test rows, and compare with the predictions of the bundle."""
    source = sys.argv[1] if len(sys.argv) > 1 else SETTINGS["source"]
    models = fit_models(read_table(source))
    folder = Path(__file__).parent
    found = predict(models, pl.read_parquet(folder / "holdout.parquet"))
    predictions = pl.read_parquet(folder / "predictions.parquet")
    stored = predictions.select(SETTINGS["predictions"]).to_numpy().astype(np.float64)
    stored = stored[:, 0] if found.ndim == 1 else stored
    largest = float((np.abs(found - stored) / np.maximum(1.0, np.abs(stored))).max(initial=0.0))
    print(f"largest difference to the bundle's {len(stored):,} test predictions: {largest:.3g}")
    sys.exit(0 if largest <= 1e-6 else 1)
