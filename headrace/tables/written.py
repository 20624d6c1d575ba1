"""How the values of a column stood in its table, where that was not the plain way: kept in the
schema, so that requests may write them in the same way.
"""

import polars as pl
from msgspec import Struct

from headrace.tables import numbers, times


class Form(Struct, frozen=True):
    """The `form` of the numbers or times of a column (see `tables.numbers` and `tables.times`), and
    the `words` that stood in the place of one.
    """

    form: str | None = None
    words: list[str] = []


def parse(column: pl.Series, form: str) -> pl.Series:
    """The column as Float64 or Datetime; null where a value is not written so."""
    return (
        numbers.parse(column, form) if numbers.is_number_form(form) else times.parse(column, form)
    )
