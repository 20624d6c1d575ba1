"""From typed columns to the arrays that the graph takes."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs

from headrace.features.graph.codes import Codes
from headrace.features.graph.reserved import MISSING_TIME
from headrace.tables import as_text

GROUPS = ("numbers", "doubles", "strings", "times")
"""The inputs of a graph, grouped by type; a group without columns is absent. A vector column is an input of its own,
`vector_COLUMN`."""

CODES = "codes"
"""The input that takes the place of `strings` where text is coded outside the graph: float32 `[N, s]`."""

Feeds = dict[str, npt.NDArray[Any]]


def feeds_from_frame(frame: pl.DataFrame, groups: dict[str, list[str]]) -> Feeds:
    """Arrays `[N, columns]` for each group; `frame` must hold the columns in the types of its
    schema.

    Missing is NaN for numbers, the empty string for text and the smallest int64 for times.
    """
    feeds: Feeds = {}
    for group, names in groups.items():
        part = frame.select(cs.by_name(*names))
        if group == "strings":
            texts = np.empty((frame.height, len(names)), dtype=object)
            for position, name in enumerate(names):
                texts[:, position] = as_text(part[name]).fill_null("").to_numpy()
            feeds[group] = texts
        elif group.startswith("vector_"):
            feeds[group] = to_matrix(part.to_series())
        elif group == "times":
            ticks = part.select(pl.all().to_physical().fill_null(MISSING_TIME)).to_numpy()
            feeds[group] = np.ascontiguousarray(ticks, dtype=np.int64)
        else:
            wide = pl.selectors.integer().cast(
                pl.Float64
            )  # as Python rounds a whole number: by way of float64
            dtype = pl.Float32 if group == "numbers" else pl.Float64
            values = part.with_columns(wide).select(pl.all().cast(dtype).fill_null(np.nan))
            feeds[group] = np.ascontiguousarray(values.to_numpy(order="c"))
    return feeds


def feeds_with_codes(
    frame: pl.DataFrame, groups: dict[str, list[str]], codes: list[Codes]
) -> Feeds:
    """As `feeds_from_frame`, with codes, one set a column, in the place of text."""
    feeds = feeds_from_frame(
        frame, {group: names for group, names in groups.items() if group != "strings"}
    )
    named = zip(groups["strings"], codes, strict=True)
    feeds[CODES] = np.column_stack([known.of(as_text(frame[name])) for name, known in named])
    return feeds


def to_matrix(column: pl.Series) -> npt.NDArray[np.float32]:
    """A column of arrays as a matrix; a row without one is all NaN."""
    assert isinstance(column.dtype, pl.Array)
    flat = column.cast(pl.Array(pl.Float32, column.dtype.shape))
    filled = (
        flat.fill_null(pl.lit([float("nan")] * column.dtype.shape[0], dtype=flat.dtype))
        if column.null_count()
        else flat
    )
    return np.ascontiguousarray(
        filled.to_numpy().astype(np.float32).reshape(len(column), column.dtype.shape[0])
    )
