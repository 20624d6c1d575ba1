"""Codes in the place of text."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headrace.features.graph.blanks import BLANKS
from headrace.features.graph.reserved import RARE
from headrace.spec import label_text

_RARE = float(RARE)
_MANY = 4_000
"""From how many values on Polars is faster than a loop."""


class Codes(dict[Any, float]):
    """The codes of a column's values, as the look-up of a graph has them: `known` by text, also the
    words for missing.

    A value may be given as rows hold it: a number is its text, None and NaN are missing, blanks
    around text mean nothing. One that is not known is rare. Raises `TypeError` for a value of
    another type and `UnicodeEncodeError` for a lone surrogate.

    >>> codes = Codes({"": -1.0, "7": 1.0})
    >>> codes["7"], codes[7.0], codes[" 7 "], codes[None], codes["8"]
    (1.0, 1.0, 1.0, -1.0, 0.0)
    """

    def __init__(self, known: dict[str, float]) -> None:
        super().__init__(known)
        self[None] = self[""]
        self._texts = pl.Series(list(known), dtype=pl.String)
        self._codes = pl.Series(list(known.values()), dtype=pl.Float32)

    def __missing__(self, value: Any) -> float:
        if isinstance(value, str):
            value.encode()  # a lone surrogate is no text
            return self.get(value.strip(BLANKS), _RARE)
        if isinstance(value, float) and math.isnan(value):
            return self[None]
        return self.get(to_text(value), _RARE)

    def of(self, column: pl.Series) -> npt.NDArray[np.float32]:
        """The codes of a column of text."""
        if len(column) < _MANY:
            return np.array([self[text] for text in column.to_list()], np.float32)
        texts = column.fill_null("")
        found = texts.replace_strict(
            self._texts, self._codes, default=None, return_dtype=pl.Float32
        )
        if found.null_count():
            absent = found.is_null()
            bare = texts.filter(absent).str.strip_chars()
            found = found.scatter(
                absent.arg_true(), bare.replace_strict(self._texts, self._codes, default=_RARE)
            )
        return found.to_numpy()


def to_text(value: Any) -> str:
    """A value of a row as text, as a table would have it; see `Codes` for the errors.

    >>> to_text(5.0), to_text(True), to_text(" a ")
    ('5', 'true', 'a')
    """
    if isinstance(value, str):
        value.encode()  # a lone surrogate is no text
        return value.strip(BLANKS)
    if isinstance(value, int | float):
        return label_text(value)
    raise TypeError
