"""Which charts a page shows, drawn from the plain document of a run."""

import math
from typing import TYPE_CHECKING, Any

from headrace.report import charts
from headrace.report.words import label

if TYPE_CHECKING:
    from headrace.registry.compare import ComparisonDocument
    from headrace.run.document import RunDocument

_MOST_CLASSES_DRAWN = 12
_MOST_BARS = 6
_MOST_IMPORTANCES = 15
_MOST_CONFUSED = 12
_PARTS = ("train", "validation", "test", "left out")
_LINES = (
    ("roc", "ROC", "false positive rate", "true positive rate"),
    ("precision_recall", "Precision and recall", "recall", "precision"),
)


def drawings(run: "RunDocument") -> dict[str, str]:
    """The charts of a run by their names; a champion's curves are dashed."""
    drawn: dict[str, str] = {}
    found, bands, metric = run.curves, run.bands, label(run.metric.name)
    other = run.comparison.curves if run.comparison is not None else None
    names = [str(name) for name in run.classes]

    def draw(name: str, chart: dict[str, Any]) -> None:
        drawn[name] = charts.svg(chart, name)

    trials = [
        (one.family, one.value, one.weight > 0) for one in run.candidates if one.value is not None
    ]
    if len(trials) == len(run.candidates) and not any(math.isnan(value) for _, value, _ in trials):
        title = f"validation {metric}"
        few = len(trials) <= _MOST_BARS
        draw(
            "candidates", charts.bars(trials, title) if few else charts.trials(trials[1:], title)
        )  # [0]: the baseline
    if run.timeline:
        shown = [part for part in _PARTS if any(span[part] for span in run.timeline)]
        draw("timeline", charts.timeline(run.timeline, shown))
    for kind, name, x, y in _LINES:
        points = getattr(found, kind)
        if points is not None:
            dashed = None if other is None else getattr(other, kind)
            draw(name, charts.curve(points, x, y, kind == "roc", bands.get(kind), dashed))
    if run.thresholds:
        draw("Threshold", charts.thresholds(run.thresholds, run.threshold))
    if found.calibration is not None:
        draw("Calibration", charts.calibration(found.calibration))
    if found.scatter is not None:
        draw("Predicted against actual", charts.scatter(found.scatter))
    if found.quantiles is not None:
        lines = [("this model", found.quantiles)]
        if run.comparison is not None and other is not None and other.quantiles is not None:
            lines.append((f"champion, version {run.comparison.version}", other.quantiles))
        draw(
            "Quantiles of the error", charts.overlaid(lines, "share of rows", "error below", False)
        )
    if found.confusion is not None and len(names) <= _MOST_CLASSES_DRAWN:
        draw("confusion", charts.confusion(found.confusion, names))
    bars = [
        (name, value, True)
        for name, value in list(run.importances.items())[:_MOST_IMPORTANCES]
        if value and value > 0
    ]
    if bars:
        draw("importances", charts.bars(bars, f"{metric} lost without it"))
    return drawn


def worst_confusions(run: "RunDocument") -> list[dict[str, Any]]:
    """Where there are too many classes for a picture: the pairs that are most often taken for each other."""
    names = run.classes
    if len(names) <= _MOST_CLASSES_DRAWN:
        return []
    mistakes = run.curves.confused or [
        [row, at, count, sum(counts)]
        for row, counts in enumerate(run.curves.confusion or [])
        for at, count in enumerate(counts)
        if count and row != at
    ]
    pairs = [
        {"true": names[row], "predicted": names[at], "rows": count, "share": count / of}
        for row, at, count, of in mistakes
    ]
    return sorted(pairs, key=lambda pair: -pair["rows"])[:_MOST_CONFUSED]


def overlaid(found: "ComparisonDocument") -> dict[str, str]:
    """The curves of several models, each kind in one chart."""
    drawn = {}
    kinds = {
        "roc": ("ROC", "false positive rate", "true positive rate", True),
        "precision_recall": ("Precision and recall", "recall", "precision", True),
        "calibration": ("Calibration", "predicted", "observed", True),
        "quantiles": ("Quantiles of the error", "share of rows", "error below", False),
    }
    for kind, (title, x, y, unit) in kinds.items():
        points = [getattr(curves, kind) for curves in found.curves]
        if all(one is not None for one in points):
            lines = [
                (model, [point[:2] for point in one])
                for model, one in zip(found.models, points, strict=True)
            ]
            drawn[title] = charts.svg(charts.overlaid(lines, x, y, unit), title)
    return drawn
