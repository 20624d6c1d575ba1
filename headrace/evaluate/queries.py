"""The queries of a ranking one by one: how many could be judged, and which are served worst."""

from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from msgspec import Struct

from headrace.evaluate.measure import measure_queries
from headrace.evaluate.predictions import Predictions

_MOST_LISTED = 5
_MOST_ROWS = 8
_MOST_LETTERS = 60


class ServedQuery(Struct, frozen=True):
    """A query with the rows that stand first in it.

    `values` has, for each row, its place, its grade and its values of `QueryReport.columns`.
    """

    query: Any
    value: float
    rows: int
    values: list[list[Any]]


class QueryReport(Struct, frozen=True):
    """The test queries of a ranking.

    `left_out` of them have no relevant row, or none with a gain, so that the metric that decides
    says nothing about them. `worst` are those that it judges worst.
    """

    queries: int
    left_out: int
    columns: list[str]
    worst: list[ServedQuery]


def report_queries(
    frame: pl.DataFrame, names: pl.Series, predictions: Predictions, metric: str
) -> QueryReport:
    """Report the queries of some predictions, the five that are served worst with their first rows.

    Parameters: `frame (N rows)`, the columns to show of a row; `names (N,)`, the query of each row.
    """
    assert predictions.queries is not None
    values = measure_queries(predictions, [metric])[:, 0]
    known = np.flatnonzero(~np.isnan(values))
    worst = known[np.argsort(values[known], kind="stable")][:_MOST_LISTED]
    return QueryReport(
        queries=len(values),
        left_out=len(values) - len(known),
        columns=frame.columns,
        worst=[_serve(frame, names, predictions, query, float(values[query])) for query in worst],
    )


def _serve(
    frame: pl.DataFrame, names: pl.Series, predictions: Predictions, query: int, value: float
) -> ServedQuery:
    assert predictions.queries is not None
    rows = np.flatnonzero(predictions.queries.of_row == query)
    first = rows[np.argsort(-predictions.scores[rows], kind="stable")][:_MOST_ROWS]
    texts = cs.all().cast(pl.String).str.head(_MOST_LETTERS)
    # A frame without columns has no rows either.
    shown = frame[first].select(texts).rows() if frame.width else [()] * len(first)
    grades = predictions.y[first].tolist()
    return ServedQuery(
        query=str(names[int(rows[0])]),
        value=value,
        rows=len(rows),
        values=[
            [place, grade, *columns]
            for place, (grade, columns) in enumerate(zip(grades, shown, strict=True), 1)
        ],
    )
