"""The rows of each part in time, for a picture."""

from typing import Any

import numpy as np
import polars as pl

from headrace.arrays import Integers
from headrace.split.divide import Split

_MOST_SPANS = 48
_NAMES = ("train", "validation", "test", "left out")


def timeline(parts: Split, times: pl.Series) -> list[dict[str, Any]]:
    """Count the rows of each part in up to 48 equal spans of time.

    `times (N,)` are dates or whole numbers; rows without a time are in no span. Rows in no part (in
    a gap, or purged) are `left out`. Returns spans in order, each with its borders (`to` is the
    `from` of the next) and its counts; none where all rows have one time.

    Rows of the years 2010 to 2012, one span a year:

                 from    to      train   validation   test   left out
                 2010    2011    2       0            0      0
                 2011    2012    0       1            0      1
                 2012    2013    0       0            1      0

    >>> parts = Split(np.array([0, 1]), np.array([2]), np.array([4]), [], None, None, 1, [], [])
    >>> spans = timeline(parts, pl.Series([2010, 2010, 2011, 2011, 2012]))
    >>> spans[1]
    {'from': '2011', 'to': '2012', 'train': 0, 'validation': 1, 'test': 0, 'left out': 1}
    """
    known = times.is_not_null().to_numpy()
    if not known.any():
        return []
    numbers = times.to_physical().cast(pl.Int64).fill_null(0).to_numpy()
    low = int(numbers[known].min())
    high = int(numbers[known].max())
    if low == high:
        return []

    # Both divisions round up.
    width = -(-(high - low + 1) // _MOST_SPANS)
    count = -(-(high - low + 1) // width)
    span_of = (numbers - low) // width

    part_of = _number_parts(parts, len(numbers))
    counts = []
    for part in range(len(_NAMES)):
        counts.append(np.bincount(span_of[known & (part_of == part)], minlength=count).tolist())

    borders = _write_borders(low + width * np.arange(count + 1), times.dtype)
    spans = []
    for span, rows in enumerate(zip(*counts, strict=True)):
        entry = {"from": borders[span], "to": borders[span + 1]}
        spans.append(entry | dict(zip(_NAMES, rows, strict=True)))
    return spans


def _number_parts(parts: Split, rows: int) -> Integers:
    """Return the number of the part of each row `(N,)`, as `_NAMES` lists them."""
    part_of = np.full(rows, _NAMES.index("left out"))
    for number, part in enumerate((parts.train, parts.validation, parts.test)):
        part_of[part] = number
    return part_of


def _write_borders(numbers: Integers, dtype: pl.DataType) -> pl.Series:
    """Write borders as text: ISO 8601 for times, else the numbers."""
    borders = pl.Series(numbers)
    if dtype.is_temporal():
        return borders.cast(dtype).dt.to_string("iso:strict")
    return borders.cast(pl.String)
