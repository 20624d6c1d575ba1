"""Charts as SVG that fits any page: Vega-Lite drawn without a browser, in colours that the page decides.

Vega-Lite is written as plain dicts, the grammar that Altair would produce, so that no second library is loaded.
"""

from typing import Any

_INK = "currentColor"
_CONFIG: dict[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "domainColor": "#8888",
        "tickColor": "#8888",
        "gridColor": "#8883",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {"labelColor": _INK, "titleColor": _INK, "labelFontSize": 11, "orient": "top", "title": None},
    "view": {"stroke": None},
}
COLOURS = {"model": "#2f7ed8", "reference": "#8c8c8c"}
_LINES = ("#8c8c8c", "#2f7ed8", "#d97706", "#1a7f4b", "#8b5cf6")
_FAMILIES = ("#8c8c8c", "#2f7ed8", "#d97706")


def svg(spec: dict[str, Any], title: str) -> str:
    """Draws a Vega-Lite spec; `title` is what a screen reader says."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg({"width": 300, "height": 220, "config": _CONFIG, **spec})
    start, rest = drawn.split(">", 1)
    return f'{start} role="img" aria-label="{title}" style="max-width:100%;height:auto">{rest}'


def curve(points: list[list[float]], x: str, y: str, diagonal: bool) -> dict[str, Any]:
    """A line in the unit square, with the diagonal of chance where it has a meaning."""
    layers = [_line([{"x": a, "y": b} for a, b, *_ in points], COLOURS["model"], 2.5)]
    if diagonal:
        layers.insert(0, _line([{"x": 0, "y": 0}, {"x": 1, "y": 1}], COLOURS["reference"], 1))
    return {"layer": layers, "encoding": _axes(x, y, [0, 1])}


def overlaid(lines: list[tuple[str, list[list[float]]]], x: str, y: str, unit: bool) -> dict[str, Any]:
    """Several named lines; in the unit square, or where their values are."""
    values = [
        {"name": name, "x": point[0], "y": point[1], "i": at}
        for name, points in lines
        for at, point in enumerate(points)
    ]
    encoding = _axes(x, y, [0, 1] if unit else None) | {
        "color": {"field": "name", "type": "nominal", "sort": None, "scale": {"range": list(_LINES)}},
        "order": {"field": "i", "type": "quantitative"},
    }
    return {"data": {"values": values}, "mark": {"type": "line", "strokeWidth": 2}, "encoding": encoding}


def calibration(bins: list[list[float]]) -> dict[str, Any]:
    """Predicted against observed, one dot a bin, its area by the rows in it."""
    dots = {
        "data": {"values": [{"x": mean, "y": share, "rows": rows} for mean, share, rows in bins]},
        "mark": {"type": "point", "filled": True, "opacity": 0.9, "color": COLOURS["model"], "size": 70},
    }
    drawn = curve(bins, "predicted", "observed", diagonal=True)
    return {"layer": [*drawn["layer"], dots], "encoding": drawn["encoding"]}


def scatter(points: list[list[float]]) -> dict[str, Any]:
    """Actual against predicted values, with the line of no error."""
    low = min(min(pair) for pair in points)
    high = max(max(pair) for pair in points)
    dots = {
        "data": {"values": [{"x": a, "y": b} for a, b in points]},
        "mark": {"type": "point", "filled": True, "opacity": 0.35, "color": COLOURS["model"], "size": 18},
    }
    line = _line([{"x": low, "y": low}, {"x": high, "y": high}], COLOURS["reference"], 1)
    return {"layer": [line, dots], "encoding": _axes("actual", "predicted", [low, high])}


def bars(rows: list[tuple[str, float, bool]], title: str) -> dict[str, Any]:
    """Named values side by side; the marked ones stand out."""
    values = [{"name": name, "value": value, "marked": marked} for name, value, marked in rows]
    colour = {
        "field": "marked",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": [True, False], "range": [COLOURS["model"], COLOURS["reference"]]},
    }
    names = {"field": "name", "type": "nominal", "sort": None, "title": None}
    numbers = {"field": "value", "type": "quantitative", "title": title}
    text = {
        "mark": {"type": "text", "align": "left", "dx": 4, "color": _INK},
        "encoding": {"text": {"field": "value", "format": ".4~g"}},
    }
    return {
        "height": {"step": 30},
        "data": {"values": values},
        "encoding": {"y": names, "x": numbers},
        "layer": [{"mark": {"type": "bar", "cornerRadiusEnd": 3}, "encoding": {"color": colour}}, text],
    }


def trials(rows: list[tuple[str, float, bool]], title: str) -> dict[str, Any]:
    """Many candidates in the order of their trial, by family; those that ship are filled."""
    values = [
        {"trial": at, "name": name, "value": value, "ships": ships} for at, (name, value, ships) in enumerate(rows)
    ]
    axes = {
        "x": {"field": "trial", "type": "quantitative", "title": "trial"},
        "y": {"field": "value", "type": "quantitative", "title": title, "scale": {"zero": False}},
        "color": {"field": "name", "type": "nominal", "scale": {"range": list(_FAMILIES)}},
    }
    tried = {"mark": {"type": "point", "size": 45}, "encoding": axes}
    ships = {
        "transform": [{"filter": "datum.ships"}],
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": axes,
    }
    return {"data": {"values": values}, "layer": [tried, ships]}


def thresholds(rows: list[dict[str, float]], chosen: float | None) -> dict[str, Any]:
    """Precision, recall and F1 over thresholds, and where the decision was put."""
    values = [
        {"threshold": row["threshold"], "what": name, "value": row[name]}
        for row in rows
        for name in ("precision", "recall", "f1")
    ]
    encoding = _axes("threshold", "", [0, 1]) | {
        "color": {"field": "what", "type": "nominal", "scale": {"range": list(_FAMILIES)}}
    }
    encoding["x"]["field"], encoding["y"]["field"] = "threshold", "value"
    layers: list[dict[str, Any]] = [
        {"data": {"values": values}, "mark": {"type": "line", "strokeWidth": 2}, "encoding": encoding}
    ]
    if chosen is not None:
        rule = {"x": {"field": "x", "type": "quantitative"}}
        mark = {"type": "rule", "strokeDash": [4, 3], "color": _INK}
        layers.append({"data": {"values": [{"x": chosen}]}, "mark": mark, "encoding": rule})
    return {"layer": layers}


def _line(values: list[dict[str, float]], colour: str, width: float) -> dict[str, Any]:
    mark = {"type": "line", "color": colour, "strokeWidth": width}
    numbered = [{**value, "i": at} for at, value in enumerate(values)]  # drawn in their order, not by x
    return {"data": {"values": numbered}, "mark": mark, "encoding": {"order": {"field": "i", "type": "quantitative"}}}


def _axes(x: str, y: str, domain: list[float] | None) -> dict[str, Any]:
    def axis(field: str, title: str) -> dict[str, Any]:
        return {
            "field": field,
            "type": "quantitative",
            "title": title,
            "scale": {"domain": domain} if domain else {"zero": False},
            "axis": {"tickCount": 5},
        }

    return {"x": axis("x", x), "y": axis("y", y)}
