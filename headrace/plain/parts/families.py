"""Fits and applies each family of models."""

# mypy: ignore-errors

from typing import Any

import lightgbm
import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression, Ridge

from headrace.plain.parts.table import SETTINGS


def fit_linear(member: dict[str, Any], X: Any, y: np.ndarray, weight: Any) -> Any:
    """Fit a logistic, multinomial or ridge regression."""
    if not sp.issparse(X):
        X = X.astype(np.float64)
    rows = float(len(y) if weight is None else weight.sum())
    penalty = member["l2"] * rows
    if not SETTINGS["classes"]:
        return Ridge(alpha=penalty).fit(X, y, weight)
    model = LogisticRegression(C=1 / penalty, tol=1e-4, max_iter=500, warm_start=True)
    return model.fit(X, y, weight)


def predict_linear(member: dict[str, Any], model: Any, X: Any) -> np.ndarray:
    """Compute raw scores; a class that no fitted row had gets one that no other falls below."""
    weights, bias = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    raw = np.asarray(X.astype(np.float64) @ weights.T) + bias
    if len(SETTINGS["classes"]) < 3:
        return raw[:, 0]
    scores = np.full((X.shape[0], len(SETTINGS["classes"])), -100.0)
    fitted = model.classes_.astype(np.int64)
    scores[:, fitted] = (
        np.column_stack([np.zeros(len(raw)), raw[:, 0]]) if len(fitted) == 2 else raw
    )
    return scores


def prepare_sets(member: dict[str, Any], X: np.ndarray) -> np.ndarray:
    """Return the matrix as LightGBM reads categories: a missing code is NaN."""
    if not member["sets"]:
        return X
    X = X.copy()
    codes = X[:, member["sets"]]
    X[:, member["sets"]] = np.where(codes < 0, np.nan, codes)
    return X


def fit_gbdt(member: dict[str, Any], X: np.ndarray, y: np.ndarray, weight: Any) -> Any:
    """Fit LightGBM's trees; the mean of a regression target is taken out first."""
    offset = float(np.average(y, weights=weight)) if member["centred"] else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        centres = X.mean(axis=0, dtype=np.float64).astype(np.float32).astype(np.float64)
    for at in np.flatnonzero(~np.isfinite(centres)):
        finite = X[np.isfinite(X[:, at]), at].astype(np.float64)
        centres[at] = np.nan if np.isnan(X[:, at]).any() or not len(finite) else finite.mean()
    data = lightgbm.Dataset(
        prepare_sets(member, X),
        y - offset,
        weight=weight,
        categorical_feature=member["sets"],
        params=member["settings"],
    )
    return lightgbm.train(member["settings"], data, member["rounds"]), offset, centres


def predict_gbdt(member: dict[str, Any], model: Any, X: np.ndarray) -> np.ndarray:
    """Compute raw scores; a value that was never missing in training counts as the mean."""
    booster, offset, centres = model
    absent = np.isnan(X) & ~np.isnan(centres)
    X = np.where(absent, centres.astype(np.float32), X)
    return np.asarray(booster.predict(X, num_iteration=member["rounds"], raw_score=True)) + offset


def fit_baseline(member: dict[str, Any], X: Any, y: np.ndarray, weight: Any) -> Any:
    """Take the mean of the target, or the logarithm of each class's share."""
    classes = len(SETTINGS["classes"])
    if not classes:
        return np.array([np.average(y, weights=weight)])
    counts = np.bincount(y.astype(np.int64), weights=weight, minlength=classes)
    logs = np.log(np.maximum(counts / counts.sum(), 1e-12))
    return logs if classes > 2 else logs[1:] - logs[:1]


def predict_baseline(member: dict[str, Any], model: Any, X: Any) -> np.ndarray:
    """Repeat the constant for every row."""
    return np.full(X.shape[0], model[0]) if len(model) == 1 else np.tile(model, (X.shape[0], 1))


FAMILIES: dict[str, Any] = {
    "linear": (fit_linear, predict_linear),
    "gbdt": (fit_gbdt, predict_gbdt),
    "baseline": (fit_baseline, predict_baseline),
}
