"""The look-up of text outside the graph: codes in the place of text."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headrace.features.graph.blanks import BLANKS
from headrace.features.graph.reserved import RARE
from headrace.spec import format_label

_RARE = float(RARE)
_POLARS_FROM_ROWS = 4_000
"""From how many values on Polars is faster than a loop."""


class Codes(dict[Any, float]):
    """The codes of one text column, with the answers that the look-up node of the graph gives.

    `known` maps text to its code; the words that mean missing are among the keys. A value may have
    any type that a row holds: a number counts as its text, None and NaN as missing, and blanks
    around text mean nothing. An unknown value is rare. Raises `TypeError` for a value of another
    type and `UnicodeEncodeError` for a lone surrogate.

    >>> codes = Codes({"": -1.0, "7": 1.0})
    >>> codes["7"], codes[7.0], codes[" 7 "], codes[None], codes["8"]
    (1.0, 1.0, 1.0, -1.0, 0.0)
    """

    # A look-up runs once a value of a request. A known text is answered by `dict` itself, in C;
    # only other values reach `__missing__`. They are not stored, so that requests add no memory.

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
        """Return the codes `(N,)` of a column of text."""
        if len(column) < _POLARS_FROM_ROWS:
            return np.array([self[text] for text in column.to_list()], np.float32)

        texts = column.fill_null("")
        codes = texts.replace_strict(
            self._texts, self._codes, default=None, return_dtype=pl.Float32
        )
        if codes.null_count():
            # Few values have blanks around them: only those that are unknown as they are get
            # stripped.
            unknown = codes.is_null()
            stripped = texts.filter(unknown).str.strip_chars()
            codes = codes.scatter(
                unknown.arg_true(),
                stripped.replace_strict(self._texts, self._codes, default=_RARE),
            )
        return codes.to_numpy()


def to_text(value: Any) -> str:
    """Write a value of a row as a table would write it; see `Codes` for the errors.

    >>> to_text(5.0), to_text(True), to_text(" a ")
    ('5', 'true', 'a')
    """
    if isinstance(value, str):
        value.encode()  # a lone surrogate is no text
        return value.strip(BLANKS)
    if isinstance(value, int | float):
        return format_label(value)
    raise TypeError
