"""The query of each row of a ranking. The rows of a query are judged together, and never divided.

Under a time split a query stands at its earliest row:

    row     query   time        order
    0       a       Mon 09:00   Mon 09:00
    1       b       Mon 10:00   Mon 10:00
    2       a       Wed 17:00   Mon 09:00
"""

import numpy as np
import polars as pl

from headrace.arrays import Floats, Integers
from headrace.errors import Finding, InputError
from headrace.spec import Data
from headrace.split.divide import Split


def number_queries(frame: pl.DataFrame, data: Data) -> Integers:
    """Return the number of each row's query `(N,)`, from 0 on.

    Raises `InputError` without `data.group`, for a row without a query, and for a single query.

    >>> frame = pl.DataFrame({"search": ["b", "a", "b"]})
    >>> number_queries(frame, Data(source="", group="search")).tolist()
    [1, 0, 1]
    """
    if data.group is None:
        do = "name the column that says which rows are ordered together"
        raise InputError("data.group", "null with task ranking", "the column of the query", do)
    where = f"data.group {data.group!r}"
    values = frame[data.group]
    if values.dtype.is_nested():
        raise InputError(where, f"a nested column ({values.dtype})", "text or numbers")
    if values.null_count():
        row = int(values.is_null().arg_max() or 0)
        raise InputError(f"{where}, row {row + 1}", "no query", "a query in every row")
    queries = values.rank("dense").cast(pl.Int64).to_numpy() - 1
    if not queries.any():
        raise InputError(where, "one query in all rows", "several queries, each with its rows")
    return queries


def check_queries(queries: Integers, grades: Floats, data: Data) -> list[Finding]:
    """Report the queries whose rows have one grade: no order of theirs is better than another.

    Parameters: `queries (N,)`, numbered from 0 on; `grades (N,)`. Raises `InputError` where all of
    them are so.

    >>> found, = check_queries(np.array([0, 0, 1]), np.array([0.0, 2.0, 1.0]), Data(source=""))
    >>> found.message
    '1 of 2 queries have one grade in all their rows: no order of theirs is better than another'
    """
    lowest, highest = _find_bounds(queries, grades)
    count = len(lowest)
    flat = int((highest == lowest).sum())
    if flat == count:
        single = np.bincount(queries).max() == 1
        found = "queries of one row each" if single else "queries whose rows have one grade each"
        do = "there is no order to learn"
        raise InputError(f"data.group {data.group!r}", found, "queries with different grades", do)
    if not flat:
        return []
    message = (
        f"{flat:,} of {count:,} queries have one grade in all their rows: "
        "no order of theirs is better than another"
    )
    evidence = {"flat": flat, "queries": count}
    return [Finding("split.flat_queries", [data.group or ""], "info", message, evidence)]


def check_parts(queries: Integers, grades: Floats, parts: Split, least: float) -> None:
    """Check that train has a query that teaches, and validation and test one that can be judged.

    Parameters: `least`, the least grade of a row that is to be found. Raises `InputError`.
    """
    for name in ("train", "validation", "test"):
        rows = getattr(parts, name)
        if not len(rows):
            continue
        _, query = np.unique(queries[rows], return_inverse=True)
        lowest, highest = _find_bounds(query, grades[rows])
        if name == "train" and not (highest > lowest).any():
            found = f"no query with different grades in its {len(rows)} rows"
            raise InputError("split.train", found, "an order to learn", "give more queries")
        if name != "train" and not (highest >= least).any():
            found = f"no grade of {least:g} or more in its {len(rows)} rows"
            raise InputError(f"split.{name}", found, "something to find", "give more queries")


def _find_bounds(queries: Integers, grades: Floats) -> tuple[Floats, Floats]:
    """Return the lowest and the highest grade of each query `(Q,)`."""
    count = int(queries.max()) + 1
    lowest = np.full(count, np.inf)
    np.minimum.at(lowest, queries, grades)
    highest = np.full(count, -np.inf)
    np.maximum.at(highest, queries, grades)
    return lowest, highest
