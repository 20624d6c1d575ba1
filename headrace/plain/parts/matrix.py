"""Puts the encoders of a member together into its matrix."""

# mypy: ignore-errors

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from headrace.plain.parts.categories import (
    bag_hash,
    bag_onehot,
    encode_frequency,
    encode_hash,
    encode_onehot,
    encode_ordinal,
    encode_target_mean,
    fit_hash,
    fit_levels,
    fit_means,
)
from headrace.plain.parts.dates import encode_cyclic, encode_parts, fit_span
from headrace.plain.parts.numbers import (
    encode_log,
    encode_quantile,
    encode_raw,
    encode_standardize,
    fit_log,
    fit_moments,
    fit_quantile,
)
from headrace.plain.parts.table import SETTINGS
from headrace.plain.parts.text import bag_tfidf, encode_topics, fit_text, fit_topics

ENCODERS: dict[str, Any] = {
    "raw": (fit_moments, encode_raw),
    "number": (fit_moments, encode_raw),
    "standardize": (fit_moments, encode_standardize),
    "log": (fit_log, encode_log),
    "quantile": (fit_quantile, encode_quantile),
    "ordinal": (fit_levels, encode_ordinal),
    "frequency": (fit_levels, encode_frequency),
    "onehot": (fit_levels, encode_onehot),
    "target": (fit_means, encode_target_mean),
    "hash": (fit_hash, encode_hash),
    "parts": (fit_span, encode_parts),
    "cyclic": (fit_span, encode_cyclic),
    "topics": (fit_topics, encode_topics),
}


BAGS: dict[str, Any] = {
    "onehot": (fit_levels, bag_onehot),
    "hash": (fit_hash, bag_hash),
    "tfidf": (fit_text, bag_tfidf),
}


def spread_target(y: np.ndarray) -> np.ndarray:
    """Return the numbers whose means are target means: one column, or one for each class."""
    if len(SETTINGS["classes"]) > 2:
        return np.eye(len(SETTINGS["classes"]))[y.astype(np.int64)]
    return y[:, None]


def fit_encoders(member: dict[str, Any], frame: pl.DataFrame, y: np.ndarray) -> list[Any]:
    """Fit each encoder of a member."""
    states = []
    for encode, name, _ in member["columns"]:
        fit, _ = ENCODERS[encode]
        targets = (spread_target(y),) if encode == "target" else ()
        states.append(fit(frame[name], *targets))
    for encode, name in member["bags"]:
        states.append(BAGS[encode][0](frame[name]))
    return states


def encode(member: dict[str, Any], states: list[Any], frame: pl.DataFrame) -> Any:
    """Encode rows: a float32 matrix, with sparse columns behind it where a member has bags."""
    blocks = [np.empty((frame.height, 0))]
    for (name, column, double), state in zip(member["columns"], states, strict=False):
        blocks.append(ENCODERS[name][1](state, frame[column], double))
    X = np.hstack(blocks).astype(np.float32)
    if not member["bags"]:
        return X
    bags = [sp.csr_matrix(X)]
    for (name, column), state in zip(member["bags"], states[len(member["columns"]) :], strict=True):
        bags.append(BAGS[name][1](state, frame[column]))
    return sp.hstack(bags, format="csr")


def replace_means(member: dict[str, Any], X: Any, frame: pl.DataFrame, y: np.ndarray) -> Any:
    """Put target means that other rows were fitted on in the place of a row's own."""
    rows = pl.read_parquet(Path(__file__).parent / "rows.parquet")
    targets = spread_target(y)
    at = 0
    for encode_name, name, _ in member["columns"]:
        width = member["widths"][at]
        start = sum(member["widths"][:at])
        at += 1
        if encode_name != "target":
            continue
        means = np.tile(targets.mean(axis=0), (len(y), 1)).astype(np.float32)
        first = rows["predicted_in"].is_null().to_numpy()
        if first.any():
            means[first] = targets[first].mean(axis=0)
        for fold_number in range(SETTINGS["folds"]):
            fit = rows[f"fit_{fold_number}"].to_numpy()
            predict = (rows["predicted_in"] == fold_number).fill_null(False).to_numpy()
            state = fit_means(frame[name].filter(pl.Series(fit)), targets[fit])
            column = frame[name].filter(pl.Series(predict))
            means[predict] = encode_target_mean(state, column, False)
        if sp.issparse(X):
            dense = X[:, : sum(member["widths"])].toarray()
            dense[:, start : start + width] = means
            X = sp.hstack([sp.csr_matrix(dense), X[:, sum(member["widths"]) :]], format="csr")
        else:
            X[:, start : start + width] = means
    return X


TRAINING: dict[str, Any] = {"target": replace_means}
"""The encoders that show a row in training something else than in service."""
