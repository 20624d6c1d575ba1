"""Columns that prove the outcome for some rows: by one of their values, or by being filled in (or
empty) at all.

A column that is filled in only after the outcome, in a tenth of the rows, explains little of the
target as a whole. So the rows of each value are looked at alone: how many there are, how pure they
are, and what chance would give.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from headrace.arrays import Floats, Mask
from headrace.errors import Finding
from headrace.spec import label_text
from headrace.tables import value_counts

PURE, LEAST_ROWS, CHANCE = 0.995, 20, 1e-12
"""So many of the rows of a value have one outcome; so many rows there are; so likely is that by chance (README.md of
this room tells how far honest values of real tables stay from it)."""
_COMMON = {"leak.presence": 0.95, "leak.value": 0.6}
"""An outcome that more of all rows have proves nothing: the rows of any value are likely to have it."""
_MOST_VALUES, _MOST_NUMBERS = 1_000, 20


def oneway_leaks(
    frame: pl.DataFrame, y: Floats, classes: list[str], presence: list[str]
) -> list[Finding]:
    """`leak.value` and `leak.presence` findings, one for each column at most, of the value with the
    most rows.

    Parameters: `frame (N rows)`; `y (N,)`, class numbers or values; `classes`, their labels (none
    in regression); `presence`, the columns of which only it matters whether they are filled in.
    """
    values, outcome = np.unique(y, return_inverse=True)
    base = np.bincount(outcome) / len(y)
    found = []
    for column in frame:
        best: tuple[int, str, str, int, float] | None = None
        for check, what, rows in _sides(column, column.name in presence):
            count = int(rows.sum())
            if count < LEAST_ROWS or (best is not None and count <= best[0]):
                continue
            shares = np.bincount(outcome[rows], minlength=len(base)) / count
            top = int(shares.argmax())
            log_chance = count * np.log10(base[top])
            if (
                shares[top] >= PURE
                and base[top] <= _COMMON[check]
                and log_chance <= np.log10(CHANCE)
            ):
                best = (count, check, what, top, float(shares[top]))
        if best is not None:
            count, check, what, top, purity = best
            label = classes[int(values[top])] if classes else f"{values[top]:g}"
            found.append(_told(column.name, check, what, count, purity, label, float(base[top])))
    return found


def _told(
    name: str, check: str, what: str, rows: int, purity: float, label: str, base: float
) -> Finding:
    message = (
        f"{name!r} {what} in {rows:,} rows, and {purity:.1%} of these have the outcome {label!r} ({base:.1%} of all "
        f"rows have it): would it be known when a prediction is made?"
    )
    evidence = {"rows": rows, "purity": purity, "outcome": label, "by_chance": base}
    return Finding(
        check, [name], "error" if check == "leak.presence" else "warning", message, evidence
    )


def _sides(column: pl.Series, presence: bool) -> Iterator[tuple[str, str, Mask]]:
    """The check, what is said of the column, and the rows of which it is said."""
    absent = column.is_null()
    if absent.any() and not absent.all():
        yield "leak.presence", "is filled in", (~absent).to_numpy()
        yield "leak.presence", "is empty", absent.to_numpy()
    if presence or not (column.dtype in (pl.String, pl.Boolean) or column.dtype.is_integer()):
        return
    counts = value_counts(column)
    if counts.height > (_MOST_NUMBERS if column.dtype.is_integer() else _MOST_VALUES):
        return
    for value, rows in counts.rows():
        if rows < LEAST_ROWS:
            return
        yield (
            "leak.value",
            f"is {label_text(value)!r}",
            (column == value).fill_null(False).to_numpy(),
        )
