"""How the rows of each part lie in time, for a picture."""

from typing import Any

import numpy as np
import polars as pl

from millrace.split.divide import Parts

_BINS = 48


def timeline(parts: Parts, times: pl.Series) -> list[dict[str, Any]]:
    """Rows of each part in up to 48 equal spans of time: where each begins and ends, and the counts.

    `times (N,)` are dates, or whole numbers; rows of none are in no span. What is in no part (a gap, purged rows) is
    `left out`. Empty where all rows have one time.
    """
    numbers = times.to_physical().cast(pl.Float64).to_numpy()
    known = np.isfinite(numbers)
    if not known.any() or (low := numbers[known].min()) == (high := numbers[known].max()):
        return []
    edges = np.linspace(low, high, _BINS + 1)
    part_of = np.full(len(numbers), 3)
    for at, part in enumerate((parts.train, parts.validation, parts.test)):
        part_of[part] = at
    counts = [np.histogram(numbers[known & (part_of == at)], edges)[0] for at in range(4)]
    whole = pl.Series(np.round(edges).astype(np.int64))
    shown = whole.cast(times.dtype).dt.to_string("iso:strict") if times.dtype.is_temporal() else whole.cast(pl.String)
    names = ("train", "validation", "test", "left out")
    rows = [dict(zip(names, map(int, span), strict=True)) for span in zip(*counts, strict=True)]
    return [{"from": shown[at], "to": shown[at + 1], **one} for at, one in enumerate(rows)]
