"""Checks whether test rows are like rows in service: later than training rows, and like them."""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
import polars.selectors as cs

from headrace import openmp
from headrace.arrays import Floats, Integers
from headrace.errors import Finding
from headrace.explore.relation import bin_column, explain_by_bins

_ROWS_EACH = 3_000
_LEAST_ROWS = 50
_LEAST_VALUES = 20
_FOLDS = 3
_MOST_AREA = 0.65
"""Bound on the ROC AUC of a classifier of train against test rows; guessing gives 0.5."""


class Division(NamedTuple):
    """The row numbers of train and test, how rows were divided, and each row's owner `(N,)`.

    Rows of one owner, or one query, were divided together; without owners every row on its own.
    """

    train: Integers
    test: Integers
    by: str | None
    owner: Integers | None = None


def check_split(
    frame: pl.DataFrame, columns: list[str], division: Division, time: str | None
) -> list[Finding]:
    """Check a split: its order in time, and whether train and test rows are alike.

    Parameters: `frame`, all rows; `columns`, those that may enter the model; `time`, the column of
    times.
    """
    findings: list[Finding] = []
    if time is not None and division.by != "time":
        findings += _check_time(frame[time], division.train, division.test)
    return findings + _check_shift(frame.select(cs.by_name(*columns)), division)


def _check_time(times: pl.Series, train: Integers, test: Integers) -> list[Finding]:
    if times.dtype == pl.String or times.null_count():
        return []
    train_times = times[train]
    test_times = times[test]
    train_numbers = train_times.to_physical().to_numpy()
    test_numbers = test_times.to_physical().to_numpy()
    later = float(np.mean(train_numbers > np.median(test_numbers)))
    if later == 0:
        return []

    evidence = {
        "later_share": later,
        "train_until": str(train_times.max()),
        "test_from": str(test_times.min()),
    }
    if train_numbers.min() > test_numbers.max():
        message = (
            f"time runs backwards: every training row is later than the last test row "
            f"({test_times.max()!s})"
        )
        return [Finding("split.time", [times.name], "error", message, evidence)]
    message = (
        f"{later:.0%} of the training rows are later than half of the test rows: the model is "
        f"tested on its past; split.by: time would test it on the latest rows"
    )
    return [Finding("split.time", [times.name], "warning", message, evidence)]


def _check_shift(frame: pl.DataFrame, division: Division) -> list[Finding]:
    """Check by adversarial validation whether train and test rows are alike.

    A classifier learns to tell train rows from test rows, and is judged out of fold. If it can, the
    rows differ:

        0 train row ──┐                          ┌─ ROC AUC 0.5: rows are alike
                      ├─ classifier, 3 folds ────┤
        1 test row  ──┘                          └─ ROC AUC 0.65 and more: split.shift

    No fold divides an owner: what is the same in all rows of an owner would tell his rows apart.
    """
    ensemble = openmp.load("sklearn.ensemble")
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

    _, _, by, owner = division
    train, test = division.train, division.test
    size = min(len(train), len(test), _ROWS_EACH)
    names = [values.name for values in frame if not values.dtype.is_temporal()]
    if size < _LEAST_ROWS or not names:
        return []
    generator = np.random.default_rng(0)
    train_sample = generator.choice(train, size, replace=False)
    test_sample = generator.choice(test, size, replace=False)
    drawn = np.concatenate([train_sample, test_sample])
    rows = frame[drawn].select(cs.by_name(*names))
    y = np.repeat([0.0, 1.0], size)

    X = np.column_stack([_encode(values) for values in rows])
    # scikit-learn refuses a fold in which a column has no value
    X = X[:, (~np.isnan(X)).sum(axis=0) >= _LEAST_VALUES]
    if not X.shape[1]:
        return []
    settings = {"max_iter": 30, "learning_rate": 0.2, "max_leaf_nodes": 15, "random_state": 0}
    model: Any = ensemble.HistGradientBoostingClassifier(**settings)
    folds: Any = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    groups = None
    if owner is not None:
        groups = owner[drawn]
        if min(len(np.unique(groups[y == part])) for part in (0, 1)) < _FOLDS:
            return []
        folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    scores = cross_val_predict(model, X, y, cv=folds, groups=groups, method="predict_proba")[:, 1]
    area = float(roc_auc_score(y, scores))
    if area < _MOST_AREA:
        return []
    return [_describe_shift(rows, y, area, by)]


def _describe_shift(rows: pl.DataFrame, y: Floats, area: float, by: str | None) -> Finding:
    """Describe a shift by the columns that explain best whether a row is one of test."""
    shares = {values.name: explain_by_bins(bin_column(values), y, "binary") for values in rows}
    top = sorted(shares, key=lambda name: -shares[name])[:3]
    evidence = {
        "roc_auc": area,
        "bound": _MOST_AREA,
        "explained": {name: shares[name] for name in top},
    }
    message = (
        f"train and test rows can be told apart (ROC AUC {area:.2f}), "
        f"mostly by {', '.join(map(repr, top))}"
    )
    # later rows may honestly differ from earlier ones
    if by == "time":
        message += ": the data drifts, or a column follows time"
        return Finding("split.shift", top, "info", message, evidence)
    return Finding("split.shift", top, "warning", message, evidence)


def _encode(values: pl.Series) -> Floats:
    """Return a column as floats `(N,)`; a text becomes its frequency."""
    if values.dtype == pl.String:
        counts = values.to_frame("value").select(pl.len().over("value")).to_series()
        return np.where(values.is_null().to_numpy(), np.nan, counts.to_numpy().astype(np.float64))
    return values.cast(pl.Float64).to_numpy()
