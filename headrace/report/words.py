"""Formats names and numbers for people."""

import math
from typing import Any

from headrace.spec import find_metric, split_metric

_SPLITS = {
    "time": "by time",
    "group": "by group",
    "stratified": "stratified by class",
    "random": "at random",
}


def describe_split(by: str | None) -> str:
    """Say how rows were divided.

    >>> describe_split("stratified")
    'stratified by class'
    """
    return _SPLITS.get(by or "", "")


def label(metric: str) -> str:
    """Return the name of a metric as a person writes it.

    >>> label("roc_auc"), label("ndcg_10")
    ('ROC AUC', 'NDCG@10')
    """
    row = find_metric(metric)
    if row is None:
        return metric
    _, cut = split_metric(metric)
    return row.label if cut is None else f"{row.label}@{cut}"


def format_number(value: Any) -> str:
    """Format a number with three significant digits; a missing one or NaN as a word.

    >>> [format_number(value) for value in (0.92737, 0.5, 1234.5, 181200, None, float("nan"))]
    ['0.927', '0.500', '1,234', '181,200', '–', 'undefined']
    """
    if value is None:
        return "–"
    if value == 0 or isinstance(value, int) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    # the sign # keeps zeros at the end, so that the numbers of a column look equally exact
    return "undefined" if math.isnan(value) else f"{value:#.3g}".rstrip(".")


def count_words(count: int, noun: str) -> str:
    """Write a count with its noun, in the singular for one.

    >>> count_words(1, "finding"), count_words(2_000, "row")
    ('1 finding', '2,000 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def describe_gain(low: float, high: float) -> str:
    """Say by how much a model is better or worse than another, by the interval of its gain.

    >>> describe_gain(0.012, 0.019), describe_gain(-0.019, -0.012)
    ('better by 0.0120 to 0.0190', 'worse by 0.0120 to 0.0190')
    >>> describe_gain(-0.003, 0.012)
    'from 0.00300 worse to 0.0120 better'
    """
    if low >= 0:
        return f"better by {format_number(low)} to {format_number(high)}"
    if high <= 0:
        return f"worse by {format_number(-high)} to {format_number(-low)}"
    return f"from {format_number(-low)} worse to {format_number(high)} better"
