"""Reference distributions of inputs and score, to judge later whether the data has drifted."""

from typing import Any

import numpy as np
import polars as pl

from headrace.tables import Column, count_values

_QUANTILES = [round(step / 20, 2) for step in range(21)]
_MOST_VALUES = 50


def build_profile(frame: pl.DataFrame, columns: list[Column], scores: np.ndarray) -> dict[str, Any]:
    """Describe every column over training rows, and the score over test rows.

    Numbers and times: the quantiles of `quantiles` (times as microseconds). Text and booleans: the
    shares of the most frequent values. Vectors have none. `missing` is the share of rows without a
    value.
    """
    plain = [column for column in columns if column.kind != "ignored" and column.dtype != "vector"]
    described = {column.name: _describe_values(frame[column.name]) for column in plain}
    # Of many classes the score is the probability of the likeliest one.
    if scores.ndim == 2:
        scores = scores.max(axis=1)
    return {
        "rows": frame.height,
        "quantiles": _QUANTILES,
        "columns": described,
        "score": _describe_values(pl.Series("score", scores)),
    }


def _describe_values(values: pl.Series) -> dict[str, Any]:
    present = values.drop_nulls()
    found: dict[str, Any] = {"missing": 1 - len(present) / max(len(values), 1)}
    if not len(present):
        return found
    if values.dtype in (pl.String, pl.Boolean):
        counts = count_values(present.cast(pl.String))
        top = counts.head(_MOST_VALUES)
        shares = (top["rows"] / len(present)).to_list()
        found["shares"] = dict(zip(top["value"].to_list(), shares, strict=True))
        found["distinct"] = counts.height
        return found

    numbers = present.to_physical().cast(pl.Float64)
    finite = numbers.filter(numbers.is_finite())
    levels = np.quantile(finite.to_numpy(), _QUANTILES).tolist() if len(finite) else []
    found["at"] = levels
    found["infinite"] = len(numbers) - len(finite)
    return found
