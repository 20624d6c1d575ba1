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
_FEW_CANDIDATES = 3
"""The table shows as much of so few candidates as a chart would."""
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
    for plot in (_plot_training, _plot_curves, _plot_lists, _plot_errors):
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
    is_defined = not any(math.isnan(value) for _, value, _ in scored)
    if is_complete and is_defined and len(scored) > _FEW_CANDIDATES:
        title = f"validation {label(run.metric.name)}"
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


def _plot_lists(run: "RunDocument") -> NamedCharts:
    """Plot how well the lists of a ranking are ordered, by their length and by query."""
    curves = run.curves
    champion = run.comparison.curves if run.comparison is not None else None
    if curves.by_cut is not None:
        dashed = champion.by_cut if champion is not None else None
        yield "NDCG by the length of the list", charts.plot_by_cut(curves.by_cut, dashed)
    if curves.spread is not None:
        name = label(run.metric.name)
        yield f"{name} of the queries", charts.plot_histogram(curves.spread, name, "queries")


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


def list_importances(run: "RunDocument") -> list[dict[str, Any]]:
    """List how much of the metric is lost without each column, the most first.

    Each has its `name`, its `value`, and its `share` of the greatest, which is the bar's length.
    """
    found = [(name, value) for name, value in run.importances.items() if value and value > 0]
    greatest = max((value for _, value in found), default=1.0)
    bars = []
    for name, value in found[:_MOST_IMPORTANCES]:
        bars.append({"name": name, "value": value, "share": value / greatest})
    return bars


def list_classes(run: "RunDocument") -> list[dict[str, Any]]:
    """List how each class of a multiclass task fares, the worst F1 first.

    Each has its `name`, `rows`, `precision`, `recall`, `f1`, and the class that it is most often
    `taken_for` if there is one.
    """
    table = run.curves.confusion
    found = []
    for at, (rows, precision, recall, f1) in enumerate(run.curves.by_class or []):
        taken_for = ""
        if table is not None:
            mistakes = [count if other != at else 0 for other, count in enumerate(table[at])]
            if max(mistakes):
                taken_for = str(run.classes[mistakes.index(max(mistakes))])
        found.append(
            {
                "name": run.classes[at],
                "rows": int(rows),
                "precision": precision,
                "recall": recall,
                "f1": f1,
                "taken_for": taken_for,
            }
        )
    return sorted(found, key=lambda one: one["f1"])


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
