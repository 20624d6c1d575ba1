"""Encodes numbers: raw, standardized, on a logarithmic scale, as ranks."""

# mypy: ignore-errors

import numpy as np
import polars as pl


def to_numbers(column: pl.Series, double: bool) -> np.ndarray:
    """Return a column as float64 with NaN; rounded to float32 where that loses nothing."""
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values if double else values.astype(np.float32).astype(np.float64)


def fit_moments(column: pl.Series) -> dict[str, float]:
    """Compute mean, deviation and range of the finite values, and count the missing ones."""
    values = column.cast(pl.Float64).drop_nulls().to_numpy()
    values = values[~np.isnan(values)]
    finite = values[np.isfinite(values)]
    missing = len(column) - len(values)
    if not len(finite):
        return {"missing": missing, "mean": 0.0, "scale": 1.0, "low": 0.0, "high": 0.0}
    mean = float(finite.mean())
    deviation = (float(np.square(finite - mean).sum()) / len(finite)) ** 0.5
    scale = deviation if deviation > 0 and np.isfinite(deviation) else 1.0
    low, high = float(finite.min()), float(finite.max())
    return {"missing": missing, "mean": mean, "scale": scale, "low": low, "high": high}


def encode_raw(state: dict[str, float], column: pl.Series, double: bool) -> np.ndarray:
    """A number as it is; one that float32 would round is centred first."""
    values = to_numbers(column, double)
    return (values - state["mean"] if double else values)[:, None]


def scale(state: dict[str, float], values: np.ndarray) -> np.ndarray:
    """Centre and scale values, clip them to the training range, and flag missing ones."""
    absent = np.isnan(values)
    scaled = np.where(absent, 0.0, (values - state["mean"]) / state["scale"])
    low = (state["low"] - state["mean"]) / state["scale"]
    high = (state["high"] - state["mean"]) / state["scale"]
    columns = [np.minimum(np.maximum(scaled, low), high)]
    return np.column_stack([*columns, absent] if state["missing"] else columns)


def encode_standardize(state: dict[str, float], column: pl.Series, double: bool) -> np.ndarray:
    """A number with mean 0 and deviation 1."""
    return scale(state, to_numbers(column, double))


def fit_log(column: pl.Series) -> dict[str, float]:
    """Compute the moments of the logarithms."""
    values = column.cast(pl.Float64).to_numpy()
    logarithms = np.sign(values) * np.log1p(np.abs(values))
    return fit_moments(pl.Series(column.name, logarithms, nan_to_null=True))


def encode_log(state: dict[str, float], column: pl.Series, double: bool) -> np.ndarray:
    """A number on a logarithmic scale, standardized."""
    values = to_numbers(column, double)
    return scale(state, np.sign(values) * np.log(np.abs(values) + 1.0))


def fit_quantile(column: pl.Series) -> tuple[np.ndarray, np.ndarray, int]:
    """Find 33 quantiles; several that share a value become one, with the mean of their shares."""
    values = column.cast(pl.Float64).drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return np.array([0.0]), np.array([0.5]), len(column)
    shares = np.linspace(0, 1, 33)
    x, index = np.unique(np.quantile(values, shares), return_inverse=True)
    return x, np.bincount(index, shares) / np.bincount(index), column.null_count()


def encode_quantile(
    state: tuple[np.ndarray, np.ndarray, int], column: pl.Series, double: bool
) -> np.ndarray:
    """A number as its rank among the training rows, with deviation 1."""
    x, y, missing = state
    values = to_numbers(column, double)
    absent = np.isnan(values)
    filled = np.where(absent, 0.0, values)[:, None]
    ramps = np.clip((filled - x[:-1]) / np.diff(x), 0.0, 1.0) * np.diff(y)
    ranks = np.where(absent, 0.0, (ramps.sum(axis=1) + (y[0] - 0.5)) * 12**0.5)
    return np.column_stack([ranks, absent] if missing else [ranks])
