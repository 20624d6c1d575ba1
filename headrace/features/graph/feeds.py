"""The arrays that a graph takes, made from the typed columns of a frame.

column         type            group        array
age, income    integer/float   numbers      float32 [N, 2]   missing: NaN
balance        large numbers   doubles      float64 [N, 1]   missing: NaN
city, comment  any text        strings      object  [N, 2]   missing: ""
opened         datetime        times        int64   [N, 1]   missing: the smallest int64
face           vector          vector_face  float32 [N, D]   missing: a row of NaN
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs

from headrace.features.graph.codes import Codes
from headrace.features.graph.reserved import MISSING_TIME
from headrace.tables import to_text

GROUPS = ("numbers", "doubles", "strings", "times")
"""The inputs of a graph, grouped by type; a group without columns is absent.

A vector column is an input of its own, `vector_COLUMN`.
"""

CODES = "codes"
"""The input in the place of `strings` where text is coded outside the graph: float32 `[N, s]`."""

Feeds = dict[str, npt.NDArray[Any]]


def make_feeds(frame: pl.DataFrame, groups: dict[str, list[str]]) -> Feeds:
    """Make the array `[N, columns]` of each group.

    `frame` must hold the columns in the types of its schema. Missing is NaN for numbers, the empty
    string for text and the smallest int64 for times.
    """
    feeds: Feeds = {}
    for group, names in groups.items():
        part = frame.select(cs.by_name(*names))

        if group == "strings":
            # ONNX Runtime takes text as an array of objects.
            texts = np.empty((frame.height, len(names)), dtype=object)
            for position, name in enumerate(names):
                texts[:, position] = to_text(part[name]).fill_null("").to_numpy()
            feeds[group] = texts

        elif group.startswith("vector_"):
            feeds[group] = to_matrix(part.to_series())

        elif group == "times":
            ticks = part.select(pl.all().to_physical().fill_null(MISSING_TIME)).to_numpy()
            feeds[group] = np.ascontiguousarray(ticks, dtype=np.int64)

        else:
            # Python rounds a whole number to float32 by way of float64; so do we.
            wide = cs.integer().cast(pl.Float64)
            dtype = pl.Float32 if group == "numbers" else pl.Float64
            values = part.with_columns(wide).select(pl.all().cast(dtype).fill_null(np.nan))
            feeds[group] = np.ascontiguousarray(values.to_numpy(order="c"))
    return feeds


def make_coded_feeds(
    frame: pl.DataFrame, groups: dict[str, list[str]], codes: list[Codes]
) -> Feeds:
    """Make the same arrays as `make_feeds`, with codes (one set a column) in the place of text."""
    uncoded = {group: names for group, names in groups.items() if group != "strings"}
    feeds = make_feeds(frame, uncoded)
    named = zip(groups["strings"], codes, strict=True)
    feeds[CODES] = np.column_stack([known.of(to_text(frame[name])) for name, known in named])
    return feeds


def to_matrix(column: pl.Series) -> npt.NDArray[np.float32]:
    """Turn a column of arrays into a matrix `(N, D)`; a row without an array is all NaN."""
    assert isinstance(column.dtype, pl.Array)
    width = column.dtype.shape[0]
    vectors = column.cast(pl.Array(pl.Float32, column.dtype.shape))
    if column.null_count():
        vectors = vectors.fill_null(pl.lit([float("nan")] * width, dtype=vectors.dtype))
    matrix = vectors.to_numpy().astype(np.float32)
    return np.ascontiguousarray(matrix.reshape(len(column), width))
