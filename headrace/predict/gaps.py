"""Gaps of a row: values that were in no training row, and missing ones where training had none.

Nearly every row has no gap, so the question is asked in three steps, each slower and more precise:

    has_no_gaps     one look at a whole array: no rare code, no NaN      most batches end here
    may_have_gaps   a mask of the places that look like a gap            most rows end here
    find_gaps       the values themselves, against what training knew    the answer

A rare code, for example, only may be a gap: it is the code of an unseen category, but also of one
that was in a few training rows.
"""

from collections import Counter
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from headrace.arrays import Mask
from headrace.errors import Finding
from headrace.features import CODES, Codes, list_spellings
from headrace.features.graph.blanks import BLANKS
from headrace.features.graph.reserved import MISSING_TIME, RARE
from headrace.predict.values import is_empty, parse_category
from headrace.tables import Column


class Gaps(Struct, frozen=True):
    """The columns of a row that have a gap.

    `imputed` have no value though none was missing in training, `unseen` have a value that was in
    no training row.
    """

    imputed: list[str] = []
    unseen: list[str] = []


class Knowledge:
    """The values of a column that training knew.

    `full` says that none was missing. A value counts as known where the model has an entry for it,
    or the schema lists it; the schema lists up to 1,000 values of a column. With more of them, a
    value that was in one row alone has no entry either, and looks like one that was in none.
    """

    def __init__(self, column: Column, missing: frozenset[str], codes: Codes | None) -> None:
        self.column = column
        self.full = column.missing == 0
        self._missing = missing | set(column.words)
        self._known = _known_values(column, codes)

    def is_missing(self, value: Any) -> bool:
        """Say whether a value of a row means that there is none."""
        if is_empty(value):
            return True
        return isinstance(value, str) and value.strip(BLANKS) in self._missing

    def is_unseen(self, value: Any) -> bool:
        """Say whether a category was in no training row."""
        if self._known is None or self.is_missing(value):
            return False
        return parse_category(value, self.column) not in self._known

    def count(self, values: pl.Series) -> tuple[int, int, str]:
        """Count the gaps among typed values.

        Returns how many are missing though none was in training, how many were in no training row,
        and one of these.
        """
        absent = 0
        if self.full:
            absent = int(values.is_nan().sum()) if values.dtype.is_float() else 0
            absent += values.null_count()
            if values.dtype == pl.String:
                absent += int(values.str.strip_chars().is_in(list(self._missing)).sum())
        if self._known is None or self.column.kind != "categorical":
            return absent, 0, ""
        return absent, *self._count_unseen(values)

    def _count_unseen(self, values: pl.Series) -> tuple[int, str]:
        # Each different value is asked about once, however many rows have it.
        counts = values.drop_nulls().alias("value").value_counts(name="rows")
        is_unseen = [self.is_unseen(value) for value in counts["value"].to_list()]
        unseen = counts.filter(pl.Series(is_unseen, dtype=pl.Boolean))
        return int(unseen["rows"].sum()), str(unseen["value"][0]) if unseen.height else ""


def _known_values(column: Column, codes: Codes | None) -> set[str] | None:
    """Return the categories that training knew, as text; None where that is not on record."""
    listed = column.categories or []
    lists_all = bool(listed) and len(listed) == column.distinct
    if codes is None and not lists_all:
        return None
    known = {*listed, *list_spellings(listed)} if lists_all else set()
    return known | {key for key in codes or () if key is not None}


class GapWarning(UserWarning):
    """Some values of a table were in no training row, or are missing where none was in training."""


class GapCounter:
    """The number of gaps in tables, by column, and the findings of reading them.

    Threads may share it.
    """

    def __init__(self, findings: Sequence[Finding] = ()) -> None:
        self.findings = list(findings)
        self.imputed: Counter[str] = Counter()
        self.unseen: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._lock = Lock()

    def add(self, known: Knowledge, values: pl.Series) -> None:
        """Count the gaps among the values of a column."""
        name = known.column.name
        absent, unseen, example = known.count(values)
        with self._lock:
            # A column without gaps gets no entry, not even of zero.
            if absent:
                self.imputed[name] += absent
            if unseen:
                self.unseen[name] += unseen
                self._examples.setdefault(name, example)

    def message(self) -> str:
        """Describe the gaps and findings in one line; empty where there are none."""
        parts = []
        if self.unseen:
            columns = [
                f"{name!r} ({rows:,}, such as {self._examples[name]!r})"
                for name, rows in self.unseen.most_common(5)
            ]
            parts.append(f"values that were in no training row: {', '.join(columns)}")
        if self.imputed:
            columns = [f"{name!r} ({rows:,})" for name, rows in self.imputed.most_common(5)]
            parts.append(f"missing values where training had none: {', '.join(columns)}")
        for finding in self.findings:
            if finding.check != "schema.encoding":
                parts.append(finding.message)
        return "; ".join(parts)


def find_gaps(values: tuple[Any, ...], known: list[Knowledge]) -> Gaps:
    """Find the gaps of one row's values, one for each of `known`; an id may follow them."""
    imputed: dict[str, None] = {}
    unseen: dict[str, None] = {}
    # A code may be in two inputs of the graph: as keys, its column is named once.
    for knowledge, value in zip(known, values, strict=False):
        column = knowledge.column
        if knowledge.full and knowledge.is_missing(value):
            imputed[column.name] = None
        if column.kind == "categorical" and knowledge.is_unseen(value):
            unseen[column.name] = None
    return Gaps(list(imputed), list(unseen))


def has_no_gaps(name: str, values: npt.NDArray[Any]) -> bool:
    """Say whether an input of the graph has no gap for certain, by one look at all of it."""
    if name == CODES:
        # The rare code is 0.
        return int(np.count_nonzero(values)) == values.size
    if values.dtype.kind != "f":
        return False
    # The cheapest question whether a NaN is among them: only then is this sum one.
    total = np.vdot(values, values)
    return bool(total == total)  # noqa: PLR0124


def may_have_gaps(name: str, values: npt.NDArray[Any], full: Mask) -> Mask:
    """Find the places of an input of the graph that may have a gap, `(N, columns)`.

    These are rare codes, and missing values of columns that were `full (columns,)` in training. The
    mask of a vector, which is missing as a whole, is `(N, 1)`.
    """
    if name == CODES:
        return np.asarray(values == RARE)
    if values.dtype == object:
        return np.ones(values.shape, bool)
    if not full.any():
        return np.zeros((len(values), len(full)), bool)
    # Fewer columns than numbers: a vector.
    if len(full) < values.shape[1]:
        return np.asarray(np.isnan(values).all(axis=1, keepdims=True))
    absent = values == MISSING_TIME if values.dtype == np.int64 else np.isnan(values)
    return np.asarray(absent & full)
