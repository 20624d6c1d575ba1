"""The state of a categorical column, and the one look-up node that turns all text into codes.

All categorical encoders share these codes:

    -1            missing
     0            rare, or not in the training rows
     1, 2, 3, …   the other values, the most frequent first
"""

import re
from collections import Counter
from collections.abc import Collection

import polars as pl
from msgspec import Struct

from headrace.features.graph.graph import Graph
from headrace.features.graph.reserved import MISSING, RARE
from headrace.spec import format_label

LEAST_ROWS = 2
"""How many rows a value needs for a code of its own.

How many values occur once is the natural estimate for how many never did (Good, 1953), so those
that occur once share the code of unknown ones. We ask for no more rows, because a model can use how
rare a value is: on clicks, codes for values in 2 rows or more gave a ROC AUC of 0.979, for values
in 10 rows or more 0.971. And models have means of their own against small counts.
"""
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,6})?")


class Levels(Struct, frozen=True):
    """The number of rows of each value, and of those without one.

    >>> levels = Levels({"red": 5, "blue": 7, "teal": 1}, missing=2)
    >>> levels.known(), levels.rows, levels.rare_rows()
    (['blue', 'red'], 15, 1)
    """

    counts: dict[str, int]
    missing: int

    @property
    def rows(self) -> int:
        """The number of all rows, with and without a value."""
        return sum(self.counts.values()) + self.missing

    def known(self, most: int | None = None) -> list[str]:
        """List the (`most` most frequent) values with a code of their own; the first has code 1."""
        frequent = [(-count, value) for value, count in self.counts.items() if count >= LEAST_ROWS]
        return [value for _, value in sorted(frequent)[:most]]

    def rare_rows(self, most: int | None = None) -> int:
        """Count the rows that share code 0."""
        known_rows = sum(self.counts[value] for value in self.known(most))
        return self.rows - self.missing - known_rows


def fit(column: pl.Series) -> Levels:
    """Count the values of a text column; null and empty text are missing."""
    present = column.drop_nulls()
    present = present.filter(present != "")
    table = present.alias("value").value_counts(name="rows")
    counts = dict(zip(table["value"].to_list(), table["rows"].to_list(), strict=True))
    return Levels(counts, len(column) - len(present))


def merge(a: Levels, b: Levels) -> Levels:
    """Merge the states of two partitions."""
    return Levels(dict(Counter(a.counts) + Counter(b.counts)), a.missing + b.missing)


def list_spellings(values: Collection[str]) -> dict[str, str]:
    """List other ways to write the values of a column, each with the value that it means.

    A number may be written as a whole number, with `.0`, and with as many zeros in front as other
    values of the column have; true and false may be written in any case. A way to write two values,
    or one that is a value itself, is left out.

    >>> list_spellings(["07", "16"])
    {'7': '07', '7.0': '07', '16.0': '16'}
    >>> list_spellings(["True", "A"])
    {'true': 'True', 'TRUE': 'True'}
    """
    by_number: dict[float, list[str]] = {}
    for value in sorted(values):
        if _NUMBER.fullmatch(value):
            by_number.setdefault(float(value), []).append(value)
    widths = sorted({len(value) for value in values if value[:1] == "0" and value.isdecimal()})

    found: dict[str, str] = {}
    for number, same in by_number.items():
        # Of two values that are one number, no spelling says which is meant.
        if len(same) == 1:
            found |= dict.fromkeys(_write_number(number, widths), same[0])
    for value in sorted(values):
        if value.lower() in ("true", "false"):
            found |= dict.fromkeys((value.lower(), value.upper(), value.capitalize()), value)
    return {way: value for way, value in found.items() if way not in values}


def _write_number(number: float, widths: list[int]) -> list[str]:
    """List the ways to write a number; `widths` are the lengths of numbers with zeros in front.

    >>> _write_number(7.0, [2, 3]), _write_number(0.5, [2])
    (['7', '7.0', '07', '007'], ['0.5'])
    """
    plain = format_label(number)
    if not number.is_integer():
        return [plain]
    return [plain, f"{plain}.0", *(plain.zfill(width) for width in widths)]


def add_codes(graph: Graph, strings: str, columns: list[Levels], missing: list[str]) -> str:
    """Add one look-up that gives the codes `[N, s]` (float32) of the text `[N, s]`.

    One table serves all columns, because the position of the column and `=` come before each value:

        0=red -> 1    0=blue -> 2    0= -> -1    1=red -> 3    1=NA -> 0    …

    The words `missing` and other spellings are entries of the table, so the graph knows them
    wherever it runs. In a column without missing training rows, a missing value counts as rare.
    """
    table: dict[str, float] = {}
    for position, levels in enumerate(columns):
        for value, code in _list_codes(levels, missing).items():
            table[f"{position}={value}"] = code

    prefixes = [f"{position}=" for position in range(len(columns))]
    keys = graph.node("StringConcat", graph.constant([prefixes], object), strings)
    return graph.node(
        "LabelEncoder",
        keys,
        domain="ai.onnx.ml",
        keys_strings=list(table),
        values_floats=list(table.values()),
        default_float=float(RARE),
    )


def _list_codes(levels: Levels, missing: list[str]) -> dict[str, float]:
    """List the codes of a column: of its values, their other spellings, and words for missing.

    >>> _list_codes(Levels({"07": 3, "x": 1}, missing=0), ["NA"])
    {'07': 1.0, '7': 1.0, '7.0': 1.0, '': 0.0, 'NA': 0.0}
    """
    codes = {value: float(code) for code, value in enumerate(levels.known(), 1)}
    # Spellings are those of all values: a rare value can make a spelling ambiguous, too.
    for spelling, value in list_spellings(levels.counts).items():
        if value in codes:
            codes[spelling] = codes[value]
    code_of_missing = MISSING if levels.missing else RARE
    return codes | dict.fromkeys(["", *missing], float(code_of_missing))
