"""How names and numbers are written for people."""

import math
from typing import Any

_LABELS = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "normalized_entropy": "normalized entropy",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "calibration_ratio": "calibration ratio",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "top_3_accuracy": "top-3 accuracy",
    "f1": "F1",
    "rmse": "RMSE",
    "mae": "MAE",
    "mape": "MAPE",
    "r2": "R²",
    "pinball_10": "pinball loss, 10 %",
    "pinball_90": "pinball loss, 90 %",
}


def label(metric: str) -> str:
    """A metric as a person writes it.

    >>> label("roc_auc"), label("precision")
    ('ROC AUC', 'precision')
    """
    return _LABELS.get(metric, metric)


def number(value: Any) -> str:
    """Four significant digits, and words for what is no number.

    >>> number(0.92737), number(181200), number(None), number(float("nan"))
    ('0.9274', '181,200', '–', 'undefined')
    """
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return "undefined" if math.isnan(value) else f"{value:.4g}"
