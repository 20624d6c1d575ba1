"""Formats names and numbers for people."""

import math
from typing import Any

from headrace.spec import METRICS


def label(metric: str) -> str:
    """Return the name of a metric as a person writes it.

    >>> label("roc_auc"), label("precision")
    ('ROC AUC', 'precision')
    """
    return METRICS[metric].label if metric in METRICS else metric


def format_number(value: Any) -> str:
    """Format a number with four significant digits; a missing one or NaN as a word.

    >>> [format_number(value) for value in (0.92737, 181200, None, float("nan"))]
    ['0.9274', '181,200', '–', 'undefined']
    """
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return "undefined" if math.isnan(value) else f"{value:.4g}"
