"""Finds columns that prove the outcome for some rows: by a value, or by being filled in (or empty).

A column that is filled in only after the outcome, in a tenth of the rows, explains little of the
target as a whole. So the rows of each value are judged alone: how many there are, how pure they
are, and how likely that is by chance.

    attributed_time     rows   installs
    filled in            227        227   all: by chance 0.002^227, so it is a leak
    empty             99,773          0   none, but of all rows 99.8 % have none: no proof
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats, Integers, Mask
from headrace.errors import Finding
from headrace.spec import format_label
from headrace.tables import count_values

_PURE = 0.995
"""Nearly all rows of a value have one outcome from this share on."""
_LEAST_ROWS = 20
_CHANCE = 1e-12
"""Honest values of real tables are far from this probability (see README.md of this room)."""
_COMMON = {"leak.presence": 0.95, "leak.value": 0.6}
"""An outcome of more of all rows proves nothing: the rows of any value are likely to have it."""
_MOST_VALUES = 1_000
_MOST_NUMBERS = 20


def oneway_leaks(
    frame: pl.DataFrame, y: Floats, classes: list[str], presence_only: list[str]
) -> list[Finding]:
    """Find `leak.value` and `leak.presence`; at most one for each column, of the most rows.

    Parameters: `frame` (N rows); `y (N,)`, class numbers or values; `classes`, the labels (none in
    regression); `presence_only`, columns that are only judged by whether they are filled in.
    """
    values, outcome = np.unique(y, return_inverse=True)
    base = np.bincount(outcome) / len(y)
    findings = []
    for column in frame:
        proof = _find_proof(column, column.name in presence_only, outcome, base)
        if proof is not None:
            value = values[proof.outcome]
            label = classes[int(value)] if classes else f"{value:g}"
            findings.append(_describe(column.name, proof, label))
    return findings


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
    column: pl.Series, presence_only: bool, outcome: Integers, base: Floats
) -> _Proof | None:
    """Find the value of a column that proves an outcome for the most rows.

    Parameters: `presence_only`, whether only filled in or empty counts as a value; `outcome (N,)`,
    the number of each row's outcome; `base (outcomes,)`, the share of each outcome in all rows.
    """
    best: _Proof | None = None
    for check, statement, mask in _list_values(column, presence_only):
        count = int(mask.sum())
        if count < _LEAST_ROWS or (best is not None and count <= best.rows):
            continue
        shares = np.bincount(outcome[mask], minlength=len(base)) / count
        top = int(shares.argmax())
        is_pure = shares[top] >= _PURE and base[top] <= _COMMON[check]
        # the probability of so many equal outcomes is base ** count, too small for a float
        if is_pure and count * np.log10(base[top]) <= np.log10(_CHANCE):
            best = _Proof(check, statement, count, top, float(shares[top]), float(base[top]))
    return best


def _list_values(column: pl.Series, presence_only: bool) -> Iterator[tuple[str, str, Mask]]:
    """Yield for each value of a column the check, a statement, and its rows as a mask `(N,)`.

    Values come after "is filled in" and "is empty", the most frequent first; those of too few rows
    are left out.
    """
    absent = column.is_null()
    if absent.any() and not absent.all():
        yield "leak.presence", "is filled in", (~absent).to_numpy()
        yield "leak.presence", "is empty", absent.to_numpy()

    is_integer = column.dtype.is_integer()
    if presence_only or not (column.dtype in (pl.String, pl.Boolean) or is_integer):
        return
    counts = count_values(column)
    # single amounts of many are pure in honest columns, too
    if counts.height > (_MOST_NUMBERS if is_integer else _MOST_VALUES):
        return
    for value, rows in counts.rows():
        if rows < _LEAST_ROWS:
            return
        mask = (column == value).fill_null(False).to_numpy()
        yield "leak.value", f"is {format_label(value)!r}", mask


def _describe(name: str, proof: _Proof, label: str) -> Finding:
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
    is_error = proof.check == "leak.presence"
    return Finding(proof.check, [name], "error" if is_error else "warning", message, evidence)
