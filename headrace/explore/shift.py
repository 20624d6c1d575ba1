"""Whether the test rows are what service will be: later than the training rows, and like them."""

from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from headrace import openmp
from headrace.arrays import Floats, Integers
from headrace.errors import Finding
from headrace.explore.relation import bins_of, explained

_ROWS_EACH = 3_000
_LEAST_ROWS, _LEAST_VALUES = 50, 20
_TOLD_APART = 0.65
"""Area under the curve of a classifier of train against test rows; at random it is 0.5."""


def split_checks(
    frame: pl.DataFrame,
    columns: list[str],
    train: Integers,
    test: Integers,
    time: str | None,
    by: str | None,
) -> list[Finding]:
    """Findings on a split.

    Parameters: `frame`, all rows; `columns`, those that may enter the model; `train` and `test`,
    row numbers; `time`, the column of times; `by`, how the rows were divided.
    """
    findings = _backwards(frame[time], train, test) if time is not None and by != "time" else []
    return findings + _told_apart(frame.select(cs.by_name(*columns)), train, test, by)


def _backwards(times: pl.Series, train: Integers, test: Integers) -> list[Finding]:
    if times.dtype == pl.String or times.null_count():
        return []
    trained, tested = times[train], times[test]
    later = float(
        np.mean(trained.to_physical().to_numpy() > np.median(tested.to_physical().to_numpy()))
    )
    if later == 0:
        return []
    evidence = {
        "later_share": later,
        "train_until": str(trained.max()),
        "test_from": str(tested.min()),
    }
    if trained.to_physical().to_numpy().min() > tested.to_physical().to_numpy().max():
        message = f"time runs backwards: every training row is later than the last test row ({tested.max()!s})"
        return [Finding("split.time", [times.name], "error", message, evidence)]
    message = (
        f"{later:.0%} of the training rows are later than half of the test rows: the model is judged on its past; "
        f"split.by: time would judge it on its future"
    )
    return [Finding("split.time", [times.name], "warning", message, evidence)]


def _told_apart(
    frame: pl.DataFrame, train: Integers, test: Integers, by: str | None
) -> list[Finding]:
    """Adversarial validation: a classifier, judged out of fold, that tries to tell train rows from test rows."""
    ensemble = openmp.load("sklearn.ensemble")
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    size = min(len(train), len(test), _ROWS_EACH)
    kept = [values.name for values in frame if not values.dtype.is_temporal()]
    if size < _LEAST_ROWS or not kept:
        return []
    chance = np.random.default_rng(0)
    rows = np.concatenate(
        [chance.choice(train, size, replace=False), chance.choice(test, size, replace=False)]
    )
    some, y = frame[rows].select(cs.by_name(*kept)), np.repeat([0.0, 1.0], size)
    X = np.column_stack([_numbers(values) for values in some])
    X = X[
        :, (~np.isnan(X)).sum(axis=0) >= _LEAST_VALUES
    ]  # a fold without any value of a column is refused
    if not X.shape[1]:
        return []
    settings = {"max_iter": 30, "learning_rate": 0.2, "max_leaf_nodes": 15, "random_state": 0}
    model: Any = ensemble.HistGradientBoostingClassifier(**settings)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]
    area = float(roc_auc_score(y, scores))
    if area < _TOLD_APART:
        return []
    shares = {values.name: explained(bins_of(values), y, "binary") for values in some}
    top = sorted(shares, key=lambda name: -shares[name])[:3]
    evidence = {
        "roc_auc": area,
        "bound": _TOLD_APART,
        "explained": {name: shares[name] for name in top},
    }
    message = f"train and test rows can be told apart (ROC AUC {area:.2f}), most by {', '.join(map(repr, top))}"
    severity: Any = "info" if by == "time" else "warning"
    if by == "time":
        message += ": the world moves, or a column counts time"
    return [Finding("split.shift", top, severity, message, evidence)]


def _numbers(values: pl.Series) -> Floats:
    """A column as floats, text by its frequency."""
    if values.dtype == pl.String:
        counts = values.to_frame("value").select(pl.len().over("value")).to_series()
        return np.where(values.is_null().to_numpy(), np.nan, counts.to_numpy().astype(np.float64))
    return values.cast(pl.Float64).to_numpy()
