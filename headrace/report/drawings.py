"""Chooses and draws the charts of a page from the document of a run or a comparison."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headrace.report import charts
from headrace.report.words import label

if TYPE_CHECKING:
    from headrace.registry.compare import ComparisonDocument
    from headrace.run.document import RunDocument

_MOST_CLASSES_DRAWN = 12
"""With more classes the cells of a confusion matrix are too small; the page lists the worst."""
_MOST_BARS = 6
_MOST_IMPORTANCES = 15
_MOST_CONFUSED = 12
_PARTS = ("train", "validation", "test", "left out")
_CURVES = (
    ("roc", "ROC", "false positive rate", "true positive rate"),
    ("precision_recall", "Precision and recall", "recall", "precision"),
)
_COMPARED_CURVES = {
    "roc": ("ROC", "false positive rate", "true positive rate", True),
    "precision_recall": ("Precision and recall", "recall", "precision", True),
    "calibration": ("Calibration", "predicted", "observed", True),
    "quantiles": ("Quantiles of the error", "share of rows", "error below", False),
}


def draw_run(run: "RunDocument") -> dict[str, str]:
    """Draw the charts of a run as SVG, by name; a champion's curves are dashed."""
    drawn = {}
    for plot in (_plot_training, _plot_curves, _plot_errors, _plot_importances):
        for name, chart in plot(run):
            drawn[name] = charts.render_svg(chart, name)
    return drawn


NamedCharts = Iterator[tuple[str, charts.Chart]]
"""Charts, each with its name."""


def _plot_training(run: "RunDocument") -> NamedCharts:
    """Plot the candidates (the first is the baseline) and the parts of the split over time."""
    scored = []
    for candidate in run.candidates:
        if candidate.value is not None:
            scored.append((candidate.family, candidate.value, candidate.weight > 0))
    # a chart that lacks a candidate would mislead
    is_complete = len(scored) == len(run.candidates)
    if is_complete and not any(math.isnan(value) for _, value, _ in scored):
        title = f"validation {label(run.metric.name)}"
        if len(scored) <= _MOST_BARS:
            yield "candidates", charts.plot_bars(scored, title)
        else:
            yield "candidates", charts.plot_trials(scored[1:], title)

    if run.timeline:
        names = [part for part in _PARTS if any(span[part] for span in run.timeline)]
        yield "timeline", charts.plot_timeline(run.timeline, names)


def _plot_curves(run: "RunDocument") -> NamedCharts:
    """Plot how well scores rank the rows, and how well probabilities are calibrated."""
    curves = run.curves
    champion = run.comparison.curves if run.comparison is not None else None
    for kind, name, x, y in _CURVES:
        points = getattr(curves, kind)
        if points is not None:
            dashed = getattr(champion, kind, None)
            band = run.bands.get(kind)
            yield name, charts.plot_curve(points, x, y, kind == "roc", band, dashed)
    if run.thresholds:
        yield "Threshold", charts.plot_thresholds(run.thresholds, run.threshold)
    if curves.calibration is not None:
        yield "Calibration", charts.plot_calibration(curves.calibration)


def _plot_errors(run: "RunDocument") -> NamedCharts:
    """Plot predicted against actual values, or predicted against true classes."""
    curves = run.curves
    if curves.scatter is not None:
        yield "Predicted against actual", charts.plot_scatter(curves.scatter)
    if curves.quantiles is not None:
        lines = [("this model", curves.quantiles)]
        champion = run.comparison
        if champion is not None and champion.curves is not None and champion.curves.quantiles:
            lines.append((f"champion, version {champion.version}", champion.curves.quantiles))
        chart = charts.plot_lines(lines, "share of rows", "error below", False)
        yield "Quantiles of the error", chart
    if curves.confusion is not None and len(run.classes) <= _MOST_CLASSES_DRAWN:
        names = [str(name) for name in run.classes]
        yield "confusion", charts.plot_confusion(curves.confusion, names)


def _plot_importances(run: "RunDocument") -> NamedCharts:
    """Plot how much of the metric is lost without each column."""
    bars = []
    for name, value in list(run.importances.items())[:_MOST_IMPORTANCES]:
        if value and value > 0:
            bars.append((name, value, True))
    if bars:
        yield "importances", charts.plot_bars(bars, f"{label(run.metric.name)} lost without it")


def find_worst_confusions(run: "RunDocument") -> list[dict[str, Any]]:
    """Find the pairs of classes that are confused most often, for a run with too many to draw."""
    names = run.classes
    if len(names) <= _MOST_CLASSES_DRAWN:
        return []
    # of very many classes the document holds the mistakes alone, not the whole table
    mistakes = run.curves.confused or _list_mistakes(run.curves.confusion or [])
    pairs = []
    for true, predicted, count, total in mistakes:
        pair = {"true": names[true], "predicted": names[predicted]}
        pairs.append(pair | {"rows": count, "share": count / total})
    return sorted(pairs, key=lambda pair: -pair["rows"])[:_MOST_CONFUSED]


def _list_mistakes(table: list[list[int]]) -> list[list[int]]:
    """List true class, predicted class, rows, and rows of the true class, for each mistake."""
    mistakes = []
    for true, counts in enumerate(table):
        for predicted, count in enumerate(counts):
            if count and predicted != true:
                mistakes.append([true, predicted, count, sum(counts)])
    return mistakes


def draw_comparison(document: "ComparisonDocument") -> dict[str, str]:
    """Draw the curves of several models as SVG, each kind of curve in one chart."""
    drawn = {}
    for kind, (title, x, y, in_unit_square) in _COMPARED_CURVES.items():
        # a chart of only some of the models would mislead
        by_model = [getattr(curves, kind) for curves in document.curves]
        if any(points is None for points in by_model):
            continue
        lines = []
        for model, points in zip(document.models, by_model, strict=True):
            lines.append((model, [point[:2] for point in points]))
        drawn[title] = charts.render_svg(charts.plot_lines(lines, x, y, in_unit_square), title)
    return drawn
