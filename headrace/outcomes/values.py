"""The value of a unit: what its outcomes come to when it closes.

outcomes of a unit        the last of each (prediction, outcome id); null takes back
  │ sum over outcome ids
  v
one number a prediction   0 where there is none, if silence means that
  │ any, sum or mean
  v
the value, clipped to the range
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from headrace.arrays import Floats, Integers
from headrace.outcomes.join import Join
from headrace.spec import LOSS, RolloutMetric

_PREDICTION = ["place", "time", "process"]


class Collected(NamedTuple):
    """Units that close `(N,)`, by their places, with what was collected of their predictions.

    `first_time` and `first_process` name the first prediction, `rows` is how many there are, and
    `squares` the sum of the squares of what they predicted.
    """

    places: Integers
    exposed_us: Integers
    first_time: Integers
    first_process: Integers
    rows: Integers
    squares: Floats


def compute_values(
    metric: RolloutMetric, join: Join, units: Collected, outcomes: pl.DataFrame
) -> tuple[Floats, Integers, int]:
    """Compute the values of units, NaN for those that do not count.

    Parameters: `outcomes`, those of the phase, in any order, with their `order` in the log.
    Returns the values, whether any outcome arrived, and how many values were clipped.
    """
    is_loss = metric.of == LOSS
    own = _select(metric, join, units, outcomes, join.target if is_loss else metric.of)
    found = _sum_up(own, metric, join) if is_loss else _sum_up(own)
    at = np.searchsorted(units.places, found["place"].to_numpy(), sorter=np.argsort(units.places))
    at = np.argsort(units.places)[at] if len(at) else at
    arrived = np.zeros(len(units.places), np.int64)
    arrived[at] = 1
    if is_loss:
        value = _mean_loss(metric, join, units, found, at)
    else:
        value = _combine(metric, join, units, found, at)
    low, high = metric.range
    clipped = int(((value < low) | (value > high)).sum())
    return np.clip(value, low, high), arrived, clipped


def _select(
    metric: RolloutMetric, join: Join, units: Collected, outcomes: pl.DataFrame, name: str
) -> pl.DataFrame:
    """Select the outcomes of units by a name, and of each (prediction, outcome id) the last one."""
    closing = pl.DataFrame(
        {
            "place": units.places,
            "begin": units.exposed_us,
            "first_time": units.first_time,
            "first_process": units.first_process,
        }
    )
    own = outcomes.filter(pl.col("name") == name).join(closing, on="place")
    if metric.per is None and join.is_unit:
        own = own.filter(
            (pl.col("time") == pl.col("first_time"))
            & (pl.col("process") == pl.col("first_process"))
        )
    else:
        own = own.filter(pl.col("exposed") <= pl.col("begin") + metric.span_us)
    last = own.sort("order").unique([*_PREDICTION, "outcome_id"], keep="last")
    given = last.filter(pl.col("number").is_not_null() | pl.col("label").is_not_null())
    return given.sort([*_PREDICTION, "outcome_id"])


def _sum_up(
    own: pl.DataFrame, metric: RolloutMetric | None = None, join: Join | None = None
) -> pl.DataFrame:
    """Return a row for each unit with outcomes: how many predictions have any, and their sums.

    With a metric of loss, `total` is the sum of the losses and `squares` that of the squared
    predictions among them.
    """
    by_prediction = own.group_by(_PREDICTION, maintain_order=True).agg(
        pl.col("number").sum(),
        pl.col("label").last(),
        pl.col("score").first(),
        pl.col("predicted").first(),
    )
    if metric is not None and join is not None:
        losses = _compute_loss(by_prediction, metric, join)
        by_prediction = by_prediction.with_columns(losses.alias("number"))
    return by_prediction.group_by("place", maintain_order=True).agg(
        pl.len().alias("rows"),
        pl.col("number").sum().alias("total"),
        pl.col("number").max().alias("most"),
        (pl.col("score") ** 2).sum().alias("squares"),
    )


def _compute_loss(rows: pl.DataFrame, metric: RolloutMetric, join: Join) -> pl.Series:
    """Return the bounded loss of each prediction: Brier, 0/1, or the clipped absolute error."""
    if join.task == "multiclass":
        return (rows["predicted"] != rows["label"]).fill_null(True).cast(pl.Float64)
    if join.task == "binary":
        outcome = (rows["number"] > 0).cast(pl.Float64)
        return (rows["score"] - outcome) ** 2
    return (rows["score"] - rows["number"]).abs().clip(*metric.range)


def _mean_loss(
    metric: RolloutMetric, join: Join, units: Collected, found: pl.DataFrame, at: Integers
) -> Floats:
    """Return the mean loss of the predictions of each unit."""
    rows = np.zeros(len(units.places))
    total = np.zeros(len(units.places))
    if join.silent_zero and join.task == "binary":
        rows += units.rows
        total += units.squares
        total[at] += found["total"].to_numpy() - found["squares"].to_numpy()
    else:
        rows[at] = found["rows"].to_numpy()
        total[at] = found["total"].to_numpy()
    return _divide(total, rows)


def _combine(
    metric: RolloutMetric, join: Join, units: Collected, found: pl.DataFrame, at: Integers
) -> Floats:
    """Return any, sum or mean of the outcomes of each unit."""
    silent = 0.0 if join.silent_zero else np.nan
    value = np.full(len(units.places), silent)
    if metric.value == "any":
        value[at] = (found["most"].to_numpy() > 0).astype(np.float64)
    elif metric.value == "sum":
        value[at] = found["total"].to_numpy()
    else:
        rows = units.rows[at] if join.silent_zero else found["rows"].to_numpy()
        value[at] = _divide(found["total"].to_numpy(), rows.astype(np.float64))
    return value


def _divide(total: Floats, rows: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(rows > 0, total / rows, np.nan))
