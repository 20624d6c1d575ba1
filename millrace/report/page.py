"""The pages that a person reads: one self-contained file each, made from the plain document of a run."""

import math
from functools import cache
from pathlib import Path
from typing import Any

from millrace.report import charts

_LABELS = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "macro_f1": "macro F1",
    "f1": "F1",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}
_MOST_CLASSES_DRAWN = 12


def report_page(run: dict[str, Any]) -> str:
    """The report of a run (the document of `run.json` with its curves): verdict first, then how it came about."""
    page: str = _template("report.html").render(run=run, charts=_charts(run), **_words(run))
    return page


def card_page(run: dict[str, Any]) -> str:
    """The model card: what the model is for, what it was trained on, how good it is and what it takes."""
    page: str = _template("card.html").render(run=run, **_words(run))
    return page


def _words(run: dict[str, Any]) -> dict[str, Any]:
    metric = run["metric"]["name"]
    return {"label": lambda name: _LABELS.get(name, name), "number": number, "metric": metric, "verdict": _verdict(run)}


def _verdict(run: dict[str, Any]) -> str:
    metric, family = run["metric"], run["winner"]["family"]
    name, value, base = _LABELS.get(metric["name"], metric["name"]), metric["test"], metric["baseline"]
    better = value > base if metric["higher_is_better"] else value < base
    if better:
        return f"A {family} model reaches a test {name} of {number(value)}; the baseline stands at {number(base)}."
    short = f"the {family} model's test {name} of {number(value)} does not beat the baseline's {number(base)}"
    return f"Nothing learned: {short}."


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


def _charts(run: dict[str, Any]) -> dict[str, str]:
    drawn: dict[str, str] = {}
    found, metric = run["curves"], run["metric"]["name"]
    trials = [(one["family"], one["value"], one["family"] == run["winner"]["family"]) for one in run["candidates"]]
    if not any(math.isnan(value) for _, value, _ in trials):
        drawn["candidates"] = charts.svg(charts.bars(trials, f"validation {_LABELS.get(metric, metric)}"), "candidates")
    if "roc" in found:
        drawn["ROC"] = charts.svg(
            charts.curve(found["roc"], "false positive rate", "true positive rate", True), "ROC curve"
        )
        drawn["Precision and recall"] = charts.svg(
            charts.curve(found["precision_recall"], "recall", "precision", False), "precision and recall"
        )
    if "calibration" in found:
        drawn["Calibration"] = charts.svg(charts.calibration(found["calibration"]), "calibration")
    if "scatter" in found:
        drawn["Predicted against actual"] = charts.svg(charts.scatter(found["scatter"]), "predicted against actual")
    return drawn


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["most_classes"] = _MOST_CLASSES_DRAWN
    return environment.get_template(name)
