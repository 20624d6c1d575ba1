"""Encodes categories: codes, shares, columns of 0 and 1, target means, buckets."""

# mypy: ignore-errors

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from sklearn.utils import murmurhash3_32

from headrace.plain.parts.table import as_text


def fit_levels(column: pl.Series) -> dict[str, Any]:
    """Count the values of a category; those of two rows or more get a code, the frequent first."""
    text = as_text(column)
    present = text.drop_nulls().to_list()
    counts = Counter(present)
    known = [word for _, word in sorted((-n, word) for word, n in counts.items() if n >= 2)]
    return {"counts": counts, "known": known, "rows": len(text), "missing": text.null_count()}


def find_codes(state: dict[str, Any], column: pl.Series) -> np.ndarray:
    """Return the code of each row: 1, 2, … for known values, 0 for others, -1 for missing."""
    codes = {word: float(code) for code, word in enumerate(state["known"], 1)}
    found = as_text(column).replace_strict(codes, default=0.0, return_dtype=pl.Float64)
    missing = -1.0 if state["missing"] else 0.0
    return np.where(column.is_null().to_numpy(), missing, found.to_numpy())


def encode_ordinal(state: dict[str, Any], column: pl.Series, double: bool) -> np.ndarray:
    """A category as its rank by frequency."""
    return find_codes(state, column)[:, None]


def encode_frequency(state: dict[str, Any], column: pl.Series, double: bool) -> np.ndarray:
    """A category as the share of training rows that have it."""
    counts, known, rows = state["counts"], state["known"], state["rows"]
    rare = len(counts) - len(known)
    rare_rows = rows - state["missing"] - sum(counts[word] for word in known)
    rare_share = rare_rows / rare / rows if rare else 0.0
    table = [state["missing"] / rows, rare_share, *(counts[word] / rows for word in known)]
    return np.array(table)[find_codes(state, column).astype(np.int64) + 1][:, None]


def encode_onehot(state: dict[str, Any], column: pl.Series, double: bool) -> np.ndarray:
    """A category as a column of 0 and 1 for each of its hundred most frequent values."""
    codes = find_codes(state, column)
    codes = np.where(codes > 100, 0.0, codes)
    known = state["known"][:100]
    wanted = list(range(1, len(known) + 1))
    if state["rows"] - state["missing"] > sum(state["counts"][word] for word in known):
        wanted.append(0)
    if state["missing"]:
        wanted.append(-1)
    return codes[:, None] == np.array(wanted, np.float64)


def fit_means(column: pl.Series, y: np.ndarray) -> dict[str, Any]:
    """Estimate the mean of the target of each value, drawn towards the mean of all rows."""
    state = fit_levels(column)
    outputs = y.shape[1]
    names = [f"y{at}" for at in range(outputs)]
    targets = [pl.Series(name, y[:, at]) for at, name in enumerate(names)]
    frame = pl.DataFrame({"value": as_text(column).fill_null("")}).hstack(targets)
    sums = frame.group_by("value").agg(
        pl.col(names).sum().name.suffix("_sum"), (pl.col(names) ** 2).sum().name.suffix("_square")
    )
    by_value = {row[0]: row[1:] for row in sums.sort("value").iter_rows()}
    missing_sums = np.array(by_value.pop("", (0.0,) * 2 * outputs)[:outputs])
    every = np.array([row[:outputs] for row in by_value.values()]).reshape(-1, outputs).sum(axis=0)
    known = state["known"]
    counts = np.array([state["counts"][word] for word in known], np.float64)
    totals = np.array([by_value[word][:outputs] for word in known]).reshape(len(known), outputs)
    squares = np.array([by_value[word][outputs:] for word in known]).reshape(len(known), outputs)

    prior = (every + missing_sums) / max(state["rows"], 1)
    m = prior_rows(counts, totals, squares)
    rare_rows = state["rows"] - state["missing"] - int(counts.sum())
    rows = np.concatenate([[state["missing"], rare_rows], counts])[:, None]
    targets = np.vstack([missing_sums, every - totals.sum(axis=0), totals])
    return state | {"means": (targets + m * prior) / (rows + m)}


def prior_rows(counts: np.ndarray, totals: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Estimate how many rows the prior is worth (empirical Bayes, method of moments)."""
    groups, rows = len(counts), counts.sum()
    if groups < 2 or rows <= groups:
        return np.full(totals.shape[1], 10.0)
    means = totals / counts[:, None]
    within = np.maximum((squares - counts[:, None] * means**2).sum(axis=0), 0) / (rows - groups)
    spread = (counts[:, None] * (means - totals.sum(axis=0) / rows) ** 2).sum(axis=0)
    between = (spread - (groups - 1) * within) / (rows - (counts**2).sum() / rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.where(between > 0, within / between, 1000.0), 1.0, 1000.0)


def encode_target_mean(state: dict[str, Any], column: pl.Series, double: bool) -> np.ndarray:
    """A category as the mean of the target among its rows."""
    return state["means"][find_codes(state, column).astype(np.int64) + 1]


def bag_onehot(state: dict[str, Any], column: pl.Series) -> sp.csr_matrix:
    """A category of many values as one entry of a sparse row."""
    codes = find_codes(state, column).astype(np.int64) + 1
    ones = np.ones(len(codes), np.float32)
    shape = (len(codes), len(state["known"]) + 2)
    return sp.csr_matrix((ones, (np.arange(len(codes)), codes)), shape=shape)


def fit_hash(column: pl.Series) -> int:
    """Learn nothing."""
    return len(column)


def find_buckets(column: pl.Series, buckets: int) -> np.ndarray:
    """Return the bucket of each value, by MurmurHash3."""
    texts = as_text(column).fill_null("").to_list()
    hashes = [murmurhash3_32(text.encode(), positive=True) for text in texts]
    return np.array(hashes, np.int64) & (buckets - 1)


def encode_hash(state: int, column: pl.Series, double: bool) -> np.ndarray:
    """A category as the number of one of 1,024 buckets."""
    return find_buckets(column, 1_024).astype(np.float64)[:, None]


def bag_hash(state: int, column: pl.Series) -> sp.csr_matrix:
    """A category as one of 65,536 columns."""
    buckets = find_buckets(column, 65_536)
    ones = np.ones(len(buckets), np.float32)
    return sp.csr_matrix((ones, (np.arange(len(buckets)), buckets)), shape=(len(buckets), 65_536))
