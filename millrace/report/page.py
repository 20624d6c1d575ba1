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
_MOST_CLASSES_DRAWN = 12
_MOST_BARS = 6
_MOST_IMPORTANCES = 15
_CANDIDATES_LISTED = 10
_THRESHOLDS_LISTED = 12


def report_page(run: dict[str, Any]) -> str:
    """The report of a run (the document of `run.json` with its curves): verdict first, then how it came about."""
    page: str = _template("report.html").render(run=run, charts=_charts(run), **_words(run))
    return page


def card_page(run: dict[str, Any]) -> str:
    """The model card: what the model is for, what it was trained on, how good it is and what it takes."""
    page: str = _template("card.html").render(run=run, **_words(run))
    return page


def compare_page(found: dict[str, Any]) -> str:
    """Models side by side: which is better for certain, metrics, curves, and what was asked differently."""
    page: str = _template("compare.html").render(
        found=found,
        verdicts=verdicts(found),
        charts=_overlaid(found),
        label=lambda name: _LABELS.get(name, name),
        number=number,
    )
    return page


def verdicts(found: dict[str, Any]) -> list[str]:
    """One sentence for each model beside the first."""
    metric, (first, *others) = found["metric"], found["models"]
    lines = []
    for other, (low, high) in zip(others, found["gains"][metric], strict=True):
        word = "better" if low > 0 else "worse" if high < 0 else "neither better nor worse for certain"
        how = f"by {number(low)} to {number(high)} of {_LABELS.get(metric, metric)} (95 %)"
        lines.append(f"{other} is {word} than {first}: {how}.")
    return lines


def _overlaid(found: dict[str, Any]) -> dict[str, str]:
    drawn = {}
    kinds = {
        "roc": ("ROC", "false positive rate", "true positive rate", True),
        "precision_recall": ("Precision and recall", "recall", "precision", True),
        "calibration": ("Calibration", "predicted", "observed", True),
        "quantiles": ("Quantiles of the error", "share of rows", "error below", False),
    }
    for kind, (title, x, y, unit) in kinds.items():
        if all(kind in curves for curves in found["curves"]):
            lines = [
                (model, [point[:2] for point in curves[kind]])
                for model, curves in zip(found["models"], found["curves"], strict=True)
            ]
            drawn[title] = charts.svg(charts.overlaid(lines, x, y, unit), title)
    return drawn


def _words(run: dict[str, Any]) -> dict[str, Any]:
    metric = run["metric"]["name"]
    table = run.get("thresholds") or []
    return {
        "label": lambda name: _LABELS.get(name, name),
        "number": number,
        "metric": metric,
        "verdict": _verdict(run),
        "promotion": promotion(run) if "promoted" in run else "",
        "best": _best(run),
        "thresholds": table[:: max(1, len(table) // _THRESHOLDS_LISTED)],
    }


def _best(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The baseline, what ships and the best of the rest."""
    sign = -1 if run["metric"]["higher_is_better"] else 1
    baseline, *others = run["candidates"]
    ranked = sorted(others, key=lambda one: (not one["weight"], sign * one["value"]))
    return [*ranked[:_CANDIDATES_LISTED], baseline]


def _verdict(run: dict[str, Any]) -> str:
    metric, family = run["metric"], run["winner"]["family"]
    name, value, base = _LABELS.get(metric["name"], metric["name"]), metric["test"], metric["baseline"]
    better = value > base if metric["higher_is_better"] else value < base
    if better:
        model = f"A {family} model" if len(run["winner"]["members"]) == 1 else f"An {family}"
        low, high = run["intervals"][metric["name"]]
        certain = f" (95 % interval {number(low)} to {number(high)})"
        return f"{model} reaches a test {name} of {number(value)}{certain}; the baseline stands at {number(base)}."
    short = f"the model's test {name} of {number(value)} does not beat the baseline's {number(base)}"
    return f"Nothing learned: {short}."


def promotion(run: dict[str, Any]) -> str:
    """Whether the model went live, and why or why not."""
    failed = [f"{one['gate']} ({one['why']})" for one in run["gates"] if not one["passed"]]
    if failed:
        return "Refused: " + "; ".join(failed) + "."
    before = run.get("before")
    return "Promoted to champion" + ("." if before is None else f" in the place of version {before}.")


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
    trials = [(one["family"], one["value"], one["weight"] > 0) for one in run["candidates"]]
    if not any(math.isnan(value) for _, value, _ in trials):
        title = f"validation {_LABELS.get(metric, metric)}"
        few = charts.bars(trials, title) if len(trials) <= _MOST_BARS else charts.trials(trials, title)
        drawn["candidates"] = charts.svg(few, "candidates")
    if "roc" in found:
        drawn["ROC"] = charts.svg(
            charts.curve(found["roc"], "false positive rate", "true positive rate", True), "ROC curve"
        )
        drawn["Precision and recall"] = charts.svg(
            charts.curve(found["precision_recall"], "recall", "precision", False), "precision and recall"
        )
    told = [(name, value, True) for name, value in list(run["importances"].items())[:_MOST_IMPORTANCES] if value > 0]
    if told:
        title = f"{_LABELS.get(metric, metric)} lost without it"
        drawn["importances"] = charts.svg(charts.bars(told, title), "importances")
    if run.get("thresholds"):
        chart = charts.thresholds(run["thresholds"], run["threshold"])
        drawn["Threshold"] = charts.svg(chart, "what a threshold gives")
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
