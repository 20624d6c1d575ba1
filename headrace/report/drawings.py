"""Which charts a page shows, drawn from the plain document of a run."""

import math
from collections.abc import Iterator
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
    """Draws the charts of a run, by name; a champion's curves are dashed."""
    parts = (_draw_training, _draw_curves, _draw_errors, _draw_importances)
    return {name: charts.svg(chart, name) for draw in parts for name, chart in draw(run)}


Drawn = Iterator[tuple[str, dict[str, Any]]]
"""Charts, each with its name."""


def _draw_training(run: "RunDocument") -> Drawn:
    """Draws the candidates (the first is the baseline) and the parts in time."""
    scored = [
        (one.family, one.value, one.weight > 0) for one in run.candidates if one.value is not None
    ]
    is_whole = len(scored) == len(run.candidates)
    if is_whole and not any(math.isnan(value) for _, value, _ in scored):
        title = f"validation {label(run.metric.name)}"
        if len(scored) <= _MOST_BARS:
            yield "candidates", charts.bars(scored, title)
        else:
            yield "candidates", charts.trials(scored[1:], title)
    if run.timeline:
        shown = [part for part in _PARTS if any(span[part] for span in run.timeline)]
        yield "timeline", charts.timeline(run.timeline, shown)


def _draw_curves(run: "RunDocument") -> Drawn:
    """Draws how well scores rank and how well probabilities hold."""
    curves = run.curves
    champion = run.comparison.curves if run.comparison is not None else None
    for kind, name, x, y in _LINES:
        points = getattr(curves, kind)
        if points is not None:
            dashed = getattr(champion, kind, None)
            yield name, charts.curve(points, x, y, kind == "roc", run.bands.get(kind), dashed)
    if run.thresholds:
        yield "Threshold", charts.thresholds(run.thresholds, run.threshold)
    if curves.calibration is not None:
        yield "Calibration", charts.calibration(curves.calibration)


def _draw_errors(run: "RunDocument") -> Drawn:
    """Draws what is predicted beside what was, and which classes are taken for which."""
    curves = run.curves
    if curves.scatter is not None:
        yield "Predicted against actual", charts.scatter(curves.scatter)
    if curves.quantiles is not None:
        lines = [("this model", curves.quantiles)]
        champion = run.comparison
        if champion is not None and champion.curves is not None and champion.curves.quantiles:
            lines.append((f"champion, version {champion.version}", champion.curves.quantiles))
        chart = charts.overlaid(lines, "share of rows", "error below", False)
        yield "Quantiles of the error", chart
    if curves.confusion is not None and len(run.classes) <= _MOST_CLASSES_DRAWN:
        names = [str(name) for name in run.classes]
        yield "confusion", charts.confusion(curves.confusion, names)


def _draw_importances(run: "RunDocument") -> Drawn:
    """Draws how much the metric loses without each column."""
    most = list(run.importances.items())[:_MOST_IMPORTANCES]
    bars = [(name, value, True) for name, value in most if value and value > 0]
    if bars:
        yield "importances", charts.bars(bars, f"{label(run.metric.name)} lost without it")


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
