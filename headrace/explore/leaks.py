"""Finds columns that leak the target.

A column may be a copy of the target, predict it alone, or predict it by being missing; two columns
may have it as their sum; a column may prove it for some rows (see `oneway.py`).

The bounds come from real tables (see README.md of this room): each lies between the strongest
honest column and the weakest leak that was planted.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
import polars.selectors as cs

from headrace.arrays import Floats, Integers, Mask
from headrace.errors import Finding
from headrace.explore.oneway import oneway_leaks
from headrace.explore.relation import explain_by_bins, explain_by_column, sample_rows
from headrace.spec import Task
from headrace.tasks import find_task

_MISSING = 0.3
"""If missing values alone explain more of the target than this share, it is an error."""
_SAME = 0.999
_TOLERANCE = 1e-6
_PROBE_ROWS = 300
_MOST_COLUMNS = 300


def leaks(
    frame: pl.DataFrame,
    y: Floats,
    task: Task,
    target: str,
    classes: Sequence[str] = (),
    ignored: pl.DataFrame | None = None,
) -> list[Finding]:
    """Find leaks among the columns of the training rows.

    Parameters: `frame` (N rows), the columns that may enter the model; `y (N,)`, class numbers or
    values; `classes`, the labels of the classes; `ignored` (N rows), columns that do not enter the
    model because of their values, such as ids: it may still leak the target whether they are filled
    in. A column has at most one finding: of the first check below that it fails.

    >>> y = np.arange(100.0) % 2
    >>> columns = pl.DataFrame({"won": np.where(y > 0, "yes", "no"), "row": np.arange(100) // 2})
    >>> [(found.check, found.columns) for found in leaks(columns, y, "binary", "y")]
    [('leak.copy', ['won'])]
    """
    rows, targets = sample_rows(frame, y)
    findings: list[Finding] = []
    accused: set[str] = set()
    # from the plainest leak on: a copy also explains the target alone
    for check in (_find_copies, _find_sums, _find_missingness, _find_single_columns):
        unsuspected = [name for name in rows.columns if name not in accused]
        for finding in check(rows.select(cs.by_name(*unsuspected)), targets, task, target):
            findings.append(finding)
            accused |= set(finding.columns)

    labels = list(classes)
    if not labels and find_task(task).HAS_CLASSES:
        labels = [f"{number:g}" for number in range(int(y.max()) + 1)]
    candidates = rows.select(~cs.by_name(*accused))
    presence_only: list[str] = []
    if ignored is not None and ignored.width:
        ignored_rows, _ = sample_rows(ignored, y)
        presence_only = ignored_rows.columns
        candidates = pl.concat([candidates, ignored_rows], how="horizontal")
    return findings + oneway_leaks(candidates, targets, labels, presence_only)


def _find_copies(frame: pl.DataFrame, y: Floats, task: Task, target: str) -> list[Finding]:
    compare = _class_agreement if find_task(task).HAS_CLASSES else _value_agreement
    findings = []
    for column in frame:
        share = compare(column, y)
        if share >= _SAME:
            message = (
                f"{column.name!r} is a copy of the target {target!r} in {share:.2%} of the rows"
            )
            evidence = {"agreement": share}
            findings.append(Finding("leak.copy", [column.name], "error", message, evidence))
    return findings


def _value_agreement(column: pl.Series, y: Floats) -> float:
    """Return the share of rows in which a column is the target `y (N,)` in another unit.

    Another unit means another scale and another zero: y = slope * x + intercept.
    """
    if not column.dtype.is_numeric() or column.null_count():
        return 0.0
    x = column.cast(pl.Float64).to_numpy()
    if x.std() == 0 or not np.isfinite(x).all():
        return 0.0
    slope = np.cov(x, y)[0, 1] / x.var(ddof=1)
    if not slope:
        return 0.0
    error = np.abs(y - y.mean() - slope * (x - x.mean()))
    return float((error <= _TOLERANCE * max(float(y.std()), 1e-300)).mean())


def _class_agreement(column: pl.Series, y: Floats) -> float:
    """Return the share of rows in which a column is the target under other names.

    `y (N,)` holds class numbers. Each value of the column means the class that is most
    frequent among its rows; the result is the share of a class that is recognised so, of the class
    that is recognised worst:

        rows by value     loss   win     means
        "no"              4000     3     loss
        "yes"                1   996     win
        recognised       4000/4001 996/999 -> 0.997
    """
    codes = column.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    classes = int(y.max()) + 1
    present = np.unique(y)
    # missing may be one more value
    if len(np.unique(codes)) not in (len(present), len(present) + 1):
        return 0.0
    table = np.zeros((int(codes.max()) + 1, classes))
    np.add.at(table, (codes, y.astype(np.int64)), 1)
    top = table.argmax(axis=1)
    if len(np.unique(top[table.sum(axis=1) > 0])) < len(present):
        return 0.0
    # the worst class decides, the rare one too: else a constant would be a copy of a rare event
    hits = table.max(axis=1, where=np.eye(classes, dtype=bool)[top], initial=0)
    hits_by_class = np.array([hits[top == number].sum() for number in range(classes)])
    shares = hits_by_class / np.maximum(table.sum(axis=0), 1)
    return float(shares[present.astype(np.int64)].min())


def _find_sums(frame: pl.DataFrame, y: Floats, task: Task, target: str) -> list[Finding]:
    """Find pairs of numeric columns whose sum or difference is the target."""
    if find_task(task).SCORE_EACH_CLASS:
        return []
    names = [column.name for column in frame if column.dtype.is_numeric()][:_MOST_COLUMNS]
    if len(names) < 2:
        return []
    X = frame.select(cs.by_name(*names).cast(pl.Float64)).to_numpy()

    # in rows of the most frequent value a match may be an accident, such as 0 + 0 = 0
    values, counts = np.unique(y, return_counts=True)
    decisive = np.flatnonzero(y != values[counts.argmax()])
    if len(decisive) < 2:
        return []
    probe = decisive[:: max(1, len(decisive) // _PROBE_ROWS)]

    findings = []
    for first, second, sign in _matching_pairs(X[probe], y[probe]):
        a = X[:, first]
        b = X[:, second]
        total = a + sign * b
        share = min(_match(total, y).mean(), _match(total[decisive], y[decisive]).mean())
        if share >= _SAME and np.nanstd(a) > 0 and np.nanstd(b) > 0:
            word = "+" if sign > 0 else "-"
            message = (
                f"{names[first]!r} {word} {names[second]!r} is the target {target!r} "
                f"in {share:.2%} of the rows"
            )
            formula = f"{names[first]} {word} {names[second]}"
            evidence = {"agreement": float(share), "formula": formula}
            columns = [names[first], names[second]]
            findings.append(Finding("leak.sum", columns, "error", message, evidence))
    return findings


def _matching_pairs(X: Floats, y: Floats) -> Iterator[tuple[int, int, float]]:
    """Find pairs of columns of `X (P, D)` whose sum or difference is nearly always `y (P,)`.

    Yields the two columns, and 1 for the sum or -1 for the difference. One column is compared with
    all others at once, so that hundreds of columns are no matter.
    """
    for first in range(X.shape[1]):
        for sign in (1.0, -1.0):
            # a sum is the same in either order, a difference is not
            start = first + 1 if sign > 0 else 0
            totals = X[:, first, None] + sign * X[:, start:]
            shares = _match(totals, y[:, None]).mean(axis=0)
            for second in np.flatnonzero(shares >= _SAME) + start:
                if second != first:
                    yield first, int(second), sign


def _match(a: Floats, b: Floats) -> Mask:
    return np.asarray(np.abs(a - b) <= _TOLERANCE * np.maximum(1.0, np.abs(b)))


def _find_missingness(frame: pl.DataFrame, y: Floats, task: Task, target: str) -> list[Finding]:
    """Find columns that explain much of the target by whether they have a value."""
    findings = []
    for column in frame:
        absent: Integers = column.is_null().to_numpy().astype(np.int64)
        if not 0 < absent.sum() < len(absent):
            continue
        share = explain_by_bins(absent, y, task)
        if share >= _MISSING:
            message = (
                f"whether {column.name!r} has a value explains {share:.0%} of {target!r}: "
                f"it is filled in when the outcome is known"
            )
            evidence = {"explained": share, "bound": _MISSING, "missing": float(absent.mean())}
            findings.append(Finding("leak.missingness", [column.name], "error", message, evidence))
    return findings


def _find_single_columns(frame: pl.DataFrame, y: Floats, task: Task, target: str) -> list[Finding]:
    """Find columns that explain nearly all of the target alone."""
    bound = find_task(task).LEAK_SHARE
    findings = []
    for column in frame:
        share = explain_by_column(column, y, task)
        if share >= bound:
            message = (
                f"{column.name!r} alone explains {share:.1%} of {target!r}: "
                f"would it be known when a prediction is made?"
            )
            evidence = {"explained": share, "bound": bound}
            name = "leak.single_column"
            findings.append(Finding(name, [column.name], "error", message, evidence))
    return findings
