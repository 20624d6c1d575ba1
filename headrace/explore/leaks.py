"""Columns that know the target: a copy of it, one that predicts it alone or by being missing, two
by their sum, one that proves it for some rows.

The bounds come from real tables (see README.md of this room): each lies between the strongest
honest column and the weakest leak that was planted.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
import polars.selectors as cs

from headrace.arrays import Floats, Mask
from headrace.errors import Finding
from headrace.explore.oneway import oneway_leaks
from headrace.explore.relation import explained, explained_by, sampled
from headrace.spec import Task
from headrace.tasks import task_of

MISSING = 0.3
"""More of the target than this explained by the fact alone that a column has no value is an error."""
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
    """Leak findings among the columns of the training rows.

    Parameters: `frame`, columns that may enter the model; `y (N,)`, class numbers or values;
    `classes`, the labels of the classes; `ignored`, columns that do not enter it for what their
    values look like, of which it may yet matter whether they are filled in. Each finding names its
    evidence; a column is accused once, of the plainest thing.
    """
    some, targets = sampled(frame, y)
    findings: list[Finding] = []
    accused: set[str] = set()
    for check in (_copies, _sums, _missing, _alone):
        for finding in check(
            some.select(cs.by_name(*(name for name in some.columns if name not in accused))),
            targets,
            task,
            target,
        ):
            findings.append(finding)
            accused |= set(finding.columns)
    labels = list(classes) or [
        f"{number:g}" for number in range(int(y.max()) + 1 if task_of(task).HAS_CLASSES else 0)
    ]
    rest = some.select(~cs.by_name(*accused))
    beside = None if ignored is None or not ignored.width else sampled(ignored, y)[0]
    whole = rest if beside is None else pl.concat([rest, beside], how="horizontal")
    return findings + oneway_leaks(
        whole, targets, labels, beside.columns if beside is not None else []
    )


def _copies(frame: pl.DataFrame, y: Floats, task: Task, target: str) -> list[Finding]:
    found = []
    for values in frame:
        share = _agreement(values, y, task)
        if share >= _SAME:
            message = (
                f"{values.name!r} is a copy of the target {target!r} in {share:.2%} of the rows"
            )
            found.append(
                Finding("leak.copy", [values.name], "error", message, {"agreement": share})
            )
    return found


def _agreement(values: pl.Series, y: Floats, task: Task) -> float:
    """The share of rows in which a column is the target under another name or in another unit."""
    if not task_of(task).HAS_CLASSES:
        if not values.dtype.is_numeric() or values.null_count():
            return 0.0
        x = values.cast(pl.Float64).to_numpy()
        if x.std() == 0 or not np.isfinite(x).all():
            return 0.0
        slope = np.cov(x, y)[0, 1] / x.var(ddof=1)
        error = np.abs(y - y.mean() - slope * (x - x.mean()))
        return float((error <= _TOLERANCE * max(float(y.std()), 1e-300)).mean()) if slope else 0.0
    codes = values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    classes = int(y.max()) + 1
    if len(np.unique(codes)) not in (len(np.unique(y)), len(np.unique(y)) + 1):
        return 0.0
    table = np.zeros((int(codes.max()) + 1, classes))
    np.add.at(table, (codes, y.astype(np.int64)), 1)
    if len(np.unique(table.argmax(axis=1)[table.sum(axis=1) > 0])) < len(np.unique(y)):
        return 0.0
    # Each class must be recognised, the rare one too, else a constant would copy a rare event.
    hits = table.max(axis=1, where=np.eye(classes, dtype=bool)[table.argmax(axis=1)], initial=0)
    by_class = np.array(
        [hits[table.argmax(axis=1) == k].sum() for k in range(classes)]
    ) / np.maximum(table.sum(axis=0), 1)
    return float(by_class[np.unique(y).astype(np.int64)].min())


def _sums(frame: pl.DataFrame, y: Floats, task: Task, target: str) -> list[Finding]:
    if task_of(task).SCORE_EACH_CLASS:
        return []
    names = [values.name for values in frame if values.dtype.is_numeric()][:_MOST_COLUMNS]
    if len(names) < 2:
        return []
    X = frame.select(cs.by_name(*names).cast(pl.Float64)).to_numpy()
    # Rows that are not of the most frequent value come first: there a match is no accident.
    values, counts = np.unique(y, return_counts=True)
    telling = np.flatnonzero(y != values[counts.argmax()])
    if len(telling) < 2:
        return []
    probe = telling[:: max(1, len(telling) // _PROBE_ROWS)]
    found = []
    for at, name in enumerate(names):
        for sign, word in ((1.0, "+"), (-1.0, "-")):
            first = at + 1 if sign > 0 else 0
            close = _close(X[probe, at, None] + sign * X[probe, first:], y[probe, None]).mean(
                axis=0
            )
            for other in np.flatnonzero(close >= _SAME) + first:
                a, b = X[:, at], X[:, other]
                share = min(
                    _close(a + sign * b, y).mean(),
                    _close((a + sign * b)[telling], y[telling]).mean(),
                )
                if other != at and share >= _SAME and np.nanstd(a) > 0 and np.nanstd(b) > 0:
                    message = f"{name!r} {word} {names[other]!r} is the target {target!r} in {share:.2%} of the rows"
                    evidence = {
                        "agreement": float(share),
                        "formula": f"{name} {word} {names[other]}",
                    }
                    found.append(
                        Finding("leak.sum", [name, names[other]], "error", message, evidence)
                    )
    return found


def _close(a: Floats, b: Floats) -> Mask:
    return np.asarray(np.abs(a - b) <= _TOLERANCE * np.maximum(1.0, np.abs(b)))


def _missing(frame: pl.DataFrame, y: Floats, task: Task, target: str) -> list[Finding]:
    found = []
    for values in frame:
        absent = values.is_null().to_numpy()
        if not 0 < absent.sum() < len(absent):
            continue
        share = explained(absent.astype(np.int64), y, task)
        if share >= MISSING:
            message = (
                f"whether {values.name!r} has a value explains {share:.0%} of {target!r}: "
                f"it is filled in when the outcome is known"
            )
            evidence = {"explained": share, "bound": MISSING, "missing": float(absent.mean())}
            found.append(Finding("leak.missingness", [values.name], "error", message, evidence))
    return found


def _alone(frame: pl.DataFrame, y: Floats, task: Task, target: str) -> list[Finding]:
    found = []
    for values in frame:
        share = explained_by(values, y, task)
        if share >= task_of(task).LEAK_SHARE:
            doubt = "would it be known when a prediction is made?"
            message = f"{values.name!r} alone explains {share:.1%} of {target!r}: {doubt}"
            evidence = {"explained": share, "bound": task_of(task).LEAK_SHARE}
            found.append(Finding("leak.single_column", [values.name], "error", message, evidence))
    return found
