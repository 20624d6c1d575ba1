"""How often each value of a column is there."""

import polars as pl


def value_counts(column: pl.Series) -> pl.DataFrame:
    """The values that are not missing and their `rows`, the most frequent first, then in their
    order.

    >>> value_counts(pl.Series("rows", ["b", "a", None, "b"])).rows()
    [('b', 2), ('a', 1)]
    """
    counts = column.drop_nulls().alias("value").value_counts(name="rows")
    return counts.sort(["rows", "value"], descending=[True, False])
