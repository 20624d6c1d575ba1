"""How often each value of a column occurs."""

import polars as pl


def count_values(column: pl.Series) -> pl.DataFrame:
    """Count the rows of each value that is not missing, the most frequent value first.

    Returns the columns `value` and `rows`; values of equally many rows follow in their own order.

    >>> count_values(pl.Series("rows", ["b", "a", None, "b"])).rows()
    [('b', 2), ('a', 1)]
    """
    counts = column.drop_nulls().alias("value").value_counts(name="rows")
    return counts.sort(["rows", "value"], descending=[True, False])
