"""The state of a categorical column, and the one node that turns all text into codes.

Codes are shared by every categorical encoder: -1 missing, 0 rare or never seen, then 1, 2, 3, … by falling frequency.
"""

from collections import Counter

import polars as pl
from msgspec import Struct

from millrace.features.graph import Graph

MISSING, RARE = -1, 0
LEAST_ROWS = 2
"""How many rows a value needs for a code of its own.

Values seen once are the natural estimate for those never seen (Good, 1953). More is not asked: how rare a value is says
much by itself (on clicks, keeping every value seen twice in place of ten times brought 0.971 to 0.979 of ROC AUC), and
models have means of their own against small counts.
"""


class Levels(Struct, frozen=True):
    """How often each value was seen, and how many rows had none."""

    counts: dict[str, int]
    missing: int

    @property
    def rows(self) -> int:
        """All rows, with and without a value."""
        return sum(self.counts.values()) + self.missing

    def known(self, most: int | None = None) -> list[str]:
        """The values with a code of their own: the first has code 1."""
        often = [(-count, value) for value, count in self.counts.items() if count >= LEAST_ROWS]
        return [value for _, value in sorted(often)[:most]]

    def rare_rows(self, most: int | None = None) -> int:
        """How many rows share code 0."""
        return self.rows - self.missing - sum(self.counts[value] for value in self.known(most))


def fit(column: pl.Series) -> Levels:
    """Counts the values of a text column; null and empty text are missing."""
    present = column.drop_nulls()
    present = present.filter(present != "")
    counts = present.value_counts(name="n")
    return Levels(dict(zip(counts[:, 0].to_list(), counts["n"].to_list(), strict=True)), len(column) - len(present))


def merge(a: Levels, b: Levels) -> Levels:
    """The counts of two partitions together."""
    return Levels(dict(Counter(a.counts) + Counter(b.counts)), a.missing + b.missing)


def codes(graph: Graph, strings: str, vocabularies: list[list[str]], missing: list[str]) -> str:
    """Codes `[N, s]` (float32) of the text `[N, s]`, all columns in one look-up.

    The position of the column and `=` stand before each value, so that one table serves every column. Words that
    mean missing are entries of the table: the graph knows them wherever it runs.
    """
    table: dict[str, float] = {}
    for position, known in enumerate(vocabularies):
        table |= {f"{position}={value}": float(code) for code, value in enumerate(known, 1)}
        table |= {f"{position}={word}": float(MISSING) for word in ["", *missing]}
    prefixes = graph.constant([[f"{position}=" for position in range(len(vocabularies))]], object)
    return graph.node(
        "LabelEncoder",
        graph.node("StringConcat", prefixes, strings),
        domain="ai.onnx.ml",
        keys_strings=list(table),
        values_floats=list(table.values()),
        default_float=float(RARE),
    )
