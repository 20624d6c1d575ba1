"""What of a row the model did not know: values that it never saw, and missing ones where it saw none missing."""

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
from headrace.features import CODES, Codes, spellings
from headrace.features.graph.blanks import BLANKS
from headrace.features.graph.reserved import MISSING_TIME, RARE
from headrace.predict.values import is_empty, parse_category
from headrace.tables import Column


class Gaps(Struct, frozen=True):
    """The columns of a row whose value is missing though none was in training (`imputed`), and
    those whose value was in no training row (`unseen`).
    """

    imputed: list[str] = []
    unseen: list[str] = []


class Knowledge:
    """What training knew of the values of a column.

    `full` says that none was missing. A value counts as seen where the model has an entry for it,
    or the schema lists it; the schema lists up to 1,000 values of a column. With more of them, a
    value that was in one row alone, which has no entry either, cannot be told from one that was in
    none.
    """

    def __init__(self, column: Column, missing: frozenset[str], codes: Codes | None) -> None:
        self.column = column
        self.full = column.missing == 0
        self._missing = missing | set(column.words)
        listed = column.categories or []
        complete = bool(listed) and len(listed) == column.distinct
        known = {*listed, *spellings(listed)} if complete else set()
        self._seen = (
            None
            if codes is None and not complete
            else known | {key for key in codes or () if key is not None}
        )

    def is_missing(self, value: Any) -> bool:
        """Whether a value of a row means that there is none."""
        if is_empty(value):
            return True
        return isinstance(value, str) and value.strip(BLANKS) in self._missing

    def is_unseen(self, value: Any) -> bool:
        """Whether a category was in no training row."""
        return (
            self._seen is not None
            and not self.is_missing(value)
            and parse_category(value, self.column) not in self._seen
        )

    def count(self, values: pl.Series) -> tuple[int, int, str]:
        """Of typed values: how many values are missing though none was in training, how many were
        in no training row, and one of these.
        """
        absent = 0
        if self.full:
            absent = int(values.is_nan().sum()) if values.dtype.is_float() else 0
            absent += values.null_count()
            if values.dtype == pl.String:
                absent += int(values.str.strip_chars().is_in(list(self._missing)).sum())
        if self._seen is None or self.column.kind != "categorical":
            return absent, 0, ""
        return absent, *self._unseen_among(values)

    def _unseen_among(self, values: pl.Series) -> tuple[int, str]:
        counts = values.drop_nulls().alias("value").value_counts(name="rows")
        strange = [self.is_unseen(value) for value in counts["value"].to_list()]
        found = counts.filter(pl.Series(strange, dtype=pl.Boolean))
        return int(found["rows"].sum()), str(found["value"][0]) if found.height else ""


class GapWarning(UserWarning):
    """Some values of a table were in no training row, or are missing where none was in training."""


class GapCounter:
    """How many values of tables had gaps, by column, and what was found when they were read."""

    def __init__(self, findings: Sequence[Finding] = ()) -> None:
        self.findings = list(findings)
        self.imputed: Counter[str] = Counter()
        self.unseen: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._lock = Lock()

    def add(self, known: Knowledge, values: pl.Series) -> None:
        """Counts the gaps among the values of a column."""
        name = known.column.name
        absent, strange, example = known.count(values)
        with self._lock:
            self.imputed.update({name: absent} if absent else {})
            if strange:
                self.unseen[name] += strange
                self._examples.setdefault(name, example)

    def message(self) -> str:
        """What there is to tell, in words; empty where nothing is."""
        strange = [
            f"{name!r} ({rows:,}, such as {self._examples[name]!r})"
            for name, rows in self.unseen.most_common(5)
        ]
        absent = [f"{name!r} ({rows:,})" for name, rows in self.imputed.most_common(5)]
        parts = [f"values that were in no training row: {', '.join(strange)}"] if strange else []
        parts += [f"missing values where training had none: {', '.join(absent)}"] if absent else []
        parts += [
            finding.message for finding in self.findings if finding.check != "schema.encoding"
        ]
        return "; ".join(parts)


def find_gaps(values: tuple[Any, ...], known: list[Knowledge]) -> Gaps:
    """The gaps of one row's values, behind which its id may stand."""
    pairs = list(zip(known, values, strict=False))
    imputed = [one.column.name for one, value in pairs if one.full and one.is_missing(value)]
    strange = [
        one.column.name
        for one, value in pairs
        if one.column.kind == "categorical" and one.is_unseen(value)
    ]
    return Gaps(
        list(dict.fromkeys(imputed)), list(dict.fromkeys(strange))
    )  # a code may stand in two inputs


def is_whole(name: str, values: npt.NDArray[Any], full: Mask) -> bool:
    """Whether an input of the graph has no gap for certain: one quick look, before `may_have_gaps`
    looks at each value.
    """
    if name == CODES:
        return int(np.count_nonzero(values)) == values.size  # the rare code is 0
    if values.dtype.kind != "f":
        return False
    total = np.vdot(values, values)  # NaN where one is, and nowhere else
    return bool(total == total)  # noqa: PLR0124


def may_have_gaps(name: str, values: npt.NDArray[Any], full: Mask) -> Mask:
    """Where `(N, columns)` an input of the graph may have a gap: at a rare code, or where nothing
    is in a column that was `full` in training.
    """
    if name == CODES:
        return np.asarray(values == RARE)
    if values.dtype == object:
        return np.ones(values.shape, bool)
    if not full.any():
        return np.zeros((len(values), len(full)), bool)
    if len(full) < values.shape[1]:  # a vector, of which the whole is missing
        return np.asarray(np.isnan(values).all(axis=1, keepdims=True))
    absent = values == MISSING_TIME if values.dtype == np.int64 else np.isnan(values)
    return np.asarray(absent & full)
