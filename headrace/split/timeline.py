"""How the rows of each part lie in time, for a picture."""

from typing import Any

import numpy as np
import polars as pl

from headrace.split.divide import Split

_BINS = 48


def timeline(parts: Split, times: pl.Series) -> list[dict[str, Any]]:
    """Rows of each part in up to 48 equal spans of time: where each begins and ends, and the
    counts.

    `times (N,)` are dates or whole numbers; rows of none are in no span. What is in no part (a gap,
    purged rows) is `left out`. Empty where all rows have one time.
    """
    known = times.is_not_null().to_numpy()
    numbers = times.to_physical().cast(pl.Int64).fill_null(0).to_numpy()
    if not known.any() or (low := int(numbers[known].min())) == (high := int(numbers[known].max())):
        return []
    width = -(-(high - low + 1) // _BINS)
    count = -(-(high - low + 1) // width)
    part_of = np.full(len(numbers), 3)
    for at, part in enumerate((parts.train, parts.validation, parts.test)):
        part_of[part] = at
    span_of = (numbers - low) // width
    counts = [np.bincount(span_of[known & (part_of == at)], minlength=count) for at in range(4)]
    edges = pl.Series(low + width * np.arange(count + 1))
    shown = (
        edges.cast(times.dtype).dt.to_string("iso:strict")
        if times.dtype.is_temporal()
        else edges.cast(pl.String)
    )
    names = ("train", "validation", "test", "left out")
    rows = [dict(zip(names, map(int, span), strict=True)) for span in zip(*counts, strict=True)]
    return [{"from": shown[at], "to": shown[at + 1], **one} for at, one in enumerate(rows)]
