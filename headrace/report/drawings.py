"""Which charts a page shows, drawn from the plain document of a run."""

import math
from typing import Any

from headrace.report import charts
from headrace.report.words import label

_MOST_CLASSES_DRAWN = 12
_MOST_BARS = 6
_MOST_IMPORTANCES = 15
_MOST_CONFUSED = 12
_PARTS = ("train", "validation", "test", "left out")
_LINES = (
    ("roc", "ROC", "false positive rate", "true positive rate"),
    ("precision_recall", "Precision and recall", "recall", "precision"),
)


def drawings(run: dict[str, Any]) -> dict[str, str]:
    """The charts of a run by their names; a champion's curves are dashed."""
    drawn: dict[str, str] = {}
    found, bands, metric = run["curves"], run["bands"], label(run["metric"]["name"])
    rival = (run.get("beside") or {}).get("curves", {})
    names = [str(name) for name in run["classes"]]

    def draw(name: str, chart: dict[str, Any]) -> None:
        drawn[name] = charts.svg(chart, name)

    trials = [(one["family"], one["value"], one["weight"] > 0) for one in run["candidates"]]
    if not any(math.isnan(value) for _, value, _ in trials):
        title = f"validation {metric}"
        few = len(trials) <= _MOST_BARS
        draw("candidates", charts.bars(trials, title) if few else charts.trials(trials[1:], title))  # [0]: the baseline
    if run["timeline"]:
        shown = [part for part in _PARTS if any(span[part] for span in run["timeline"])]
        draw("timeline", charts.timeline(run["timeline"], shown))
    for kind, name, x, y in _LINES:
        if kind in found:
            draw(name, charts.curve(found[kind], x, y, kind == "roc", bands.get(kind), rival.get(kind)))
    if run.get("thresholds"):
        draw("Threshold", charts.thresholds(run["thresholds"], run["threshold"]))
    if "calibration" in found:
        draw("Calibration", charts.calibration(found["calibration"]))
    if "scatter" in found:
        draw("Predicted against actual", charts.scatter(found["scatter"]))
    if "quantiles" in found:
        lines = [("this model", found["quantiles"])]
        lines += [(f"champion, version {run['beside']['version']}", rival["quantiles"])] if rival else []
        draw("Quantiles of the error", charts.overlaid(lines, "share of rows", "error below", False))
    if "confusion" in found and len(names) <= _MOST_CLASSES_DRAWN:
        draw("confusion", charts.confusion(found["confusion"], names))
    told = [(name, value, True) for name, value in list(run["importances"].items())[:_MOST_IMPORTANCES] if value > 0]
    if told:
        draw("importances", charts.bars(told, f"{metric} lost without it"))
    return drawn


def worst_confusions(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Where there are too many classes for a picture: the pairs that are most often taken for each other."""
    names = run["classes"]
    if len(names) <= _MOST_CLASSES_DRAWN:
        return []
    mistakes = run["curves"].get("confused") or [
        (row, at, count, sum(counts))
        for row, counts in enumerate(run["curves"].get("confusion", []))
        for at, count in enumerate(counts)
        if count and row != at
    ]
    pairs = [
        {"true": names[row], "predicted": names[at], "rows": count, "share": count / of}
        for row, at, count, of in mistakes
    ]
    return sorted(pairs, key=lambda pair: -pair["rows"])[:_MOST_CONFUSED]


def overlaid(found: dict[str, Any]) -> dict[str, str]:
    """The curves of several models, each kind in one chart."""
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
