"""Reference distributions of inputs and score, for judging later whether the world has moved."""

from typing import Any

import numpy as np
import polars as pl

from headrace.tables import Column, value_counts

_QUANTILES = [round(step / 20, 2) for step in range(21)]
_MOST_VALUES = 50


def build_profile(frame: pl.DataFrame, columns: list[Column], scores: np.ndarray) -> dict[str, Any]:
    """The distribution of every column over training rows, and of the score over test rows.

    Numbers and times: the quantiles of `quantiles` (times as microseconds). Text and booleans: the
    shares of the most frequent values. Vectors have none. `missing` is the share of rows without a
    value.
    """
    plain = [column for column in columns if column.kind != "ignored" and column.dtype != "vector"]
    described = {column.name: _distribution(frame[column.name]) for column in plain}
    score = pl.Series("score", scores.max(axis=1) if scores.ndim == 2 else scores)
    return {
        "rows": frame.height,
        "quantiles": _QUANTILES,
        "columns": described,
        "score": _distribution(score),
    }


def _distribution(values: pl.Series) -> dict[str, Any]:
    present = values.drop_nulls()
    found: dict[str, Any] = {"missing": 1 - len(present) / max(len(values), 1)}
    if not len(present):
        return found
    if values.dtype in (pl.String, pl.Boolean):
        counts = value_counts(present.cast(pl.String))
        top = counts.head(_MOST_VALUES)
        shares = (top["rows"] / len(present)).to_list()
        return found | {
            "shares": dict(zip(top["value"].to_list(), shares, strict=True)),
            "distinct": counts.height,
        }
    numbers = present.to_physical().cast(pl.Float64)
    finite = numbers.filter(numbers.is_finite())
    levels = np.quantile(finite.to_numpy(), _QUANTILES).tolist() if len(finite) else []
    return found | {"at": levels, "infinite": len(numbers) - len(finite)}
