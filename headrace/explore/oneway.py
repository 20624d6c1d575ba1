"""Columns that prove the outcome for some rows: by one of their values, or by being filled in (or
empty) at all.

A column that is filled in only after the outcome, in a tenth of the rows, explains little of the
target as a whole. So the rows of each value are looked at alone: how many there are, how pure they
are, and what chance would give.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats, Integers, Mask
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
        proof = _find_proof(column, column.name in presence, outcome, base)
        if proof is not None:
            value = values[proof.outcome]
            label = classes[int(value)] if classes else f"{value:g}"
            found.append(_leak(column.name, proof, label))
    return found


class _Proof(Struct, frozen=True):
    """Rows of one value of a column that nearly all have one outcome.

    `statement` says which rows; `outcome` is the number of their outcome, `purity` its share of
    these rows, and `base` its share of all rows.
    """

    check: str
    statement: str
    rows: int
    outcome: int
    purity: float
    base: float


def _find_proof(
    column: pl.Series, presence: bool, outcome: Integers, base: Floats
) -> _Proof | None:
    """Finds the value of a column that proves an outcome for the most rows.

    Parameters: `presence`, whether it only matters if the column is filled in; `outcome (N,)`, the
    number of each row's outcome; `base (outcomes,)`, the share of each in all rows.
    """
    best: _Proof | None = None
    for check, statement, rows in _sides(column, presence):
        count = int(rows.sum())
        if count < LEAST_ROWS or (best is not None and count <= best.rows):
            continue
        shares = np.bincount(outcome[rows], minlength=len(base)) / count
        top = int(shares.argmax())
        is_pure = shares[top] >= PURE and base[top] <= _COMMON[check]
        if is_pure and count * np.log10(base[top]) <= np.log10(CHANCE):
            best = _Proof(check, statement, count, top, float(shares[top]), float(base[top]))
    return best


def _leak(name: str, proof: _Proof, label: str) -> Finding:
    message = (
        f"{name!r} {proof.statement} in {proof.rows:,} rows, and {proof.purity:.1%} of these have "
        f"the outcome {label!r} ({proof.base:.1%} of all rows have it): would it be known when a "
        f"prediction is made?"
    )
    evidence = {
        "rows": proof.rows,
        "purity": proof.purity,
        "outcome": label,
        "by_chance": proof.base,
    }
    return Finding(
        proof.check,
        [name],
        "error" if proof.check == "leak.presence" else "warning",
        message,
        evidence,
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
