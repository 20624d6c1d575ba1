"""How the values of a column were written in its table, if that was not the plain way.

The schema of a bundle holds it (`Column.written` and `Column.words`), so that a request may write
its values as the training table did:

    in the table        form              words      value in a typed table
    `1.234,50 €`        comma_decimal €              1234.5
    `31/12/2024`        %d/%m/%Y                     2024-12-31T00:00:00
    `n/a`               comma_groups      ["n/a"]    null
"""

import polars as pl
from msgspec import Struct

from headrace.tables import numbers, times


class Form(Struct, frozen=True):
    """The form of the numbers or times of a column, and the words that meant a missing one.

    `form` is one of `tables.numbers` or of `tables.times`.
    """

    form: str | None = None
    words: list[str] = []


def parse(column: pl.Series, form: str) -> pl.Series:
    """Read a column as Float64 or Datetime; null for a value that is not written in this form.

    >>> parse(pl.Series(["1.234,50 €", "1,234.5"]), "comma_decimal €").to_list()
    [1234.5, None]
    >>> parse(pl.Series(["31/12/2024", "2024-12-31"]), "%d/%m/%Y").dt.date().to_list()
    [datetime.date(2024, 12, 31), None]
    """
    if numbers.is_number_form(form):
        return numbers.parse(column, form)
    return times.parse(column, form)
