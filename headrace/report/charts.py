"""Charts as SVG that fits any page: Vega-Lite drawn without a browser, in colours that the page
decides.

Vega-Lite is written as plain dicts, the grammar that Altair would produce, so that no second
library is loaded.
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
    "legend": {
        "labelColor": _INK,
        "titleColor": _INK,
        "labelFontSize": 11,
        "orient": "top",
        "title": None,
    },
    "view": {"stroke": None},
}
COLOURS = {"model": "#2f7ed8", "reference": "#8c8c8c", "rival": "#d97706"}
_LINES = ("#2f7ed8", "#d97706", "#1a7f4b", "#8b5cf6", "#8c8c8c")
_PARTS = ("#2f7ed8", "#8b5cf6", "#d97706", "#8c8c8c")
_FAMILIES = ("#2f7ed8", "#d97706", "#8c8c8c")


def svg(spec: dict[str, Any], title: str) -> str:
    """Draws a Vega-Lite spec; `title` is what a screen reader says."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(
        {"width": 300, "height": 220, "config": _CONFIG, **spec}
    )
    start, rest = drawn.split(">", 1)
    return f'{start} role="img" aria-label="{title}" style="max-width:100%;height:auto">{rest}'


def curve(
    points: list[list[float]],
    x: str,
    y: str,
    diagonal: bool,
    band: list[list[float]] | None = None,
    rival: list[list[float]] | None = None,
) -> dict[str, Any]:
    """A line in the unit square, with the diagonal of chance where it has a meaning, the `band`
    `[x, low, high]` that it may lie in, and a `rival`'s line, dashed.
    """
    layers = [_line([{"x": a, "y": b} for a, b, *_ in points], COLOURS["model"], 2.5)]
    if rival:
        layers.insert(
            0, _line([{"x": a, "y": b} for a, b, *_ in rival], COLOURS["rival"], 2, dashed=True)
        )
    if band:
        within = [{"x": at, "y": low, "high": high} for at, low, high in band]
        mark = {"type": "area", "color": COLOURS["model"], "opacity": 0.22}
        layers.insert(
            0, {"data": {"values": within}, "mark": mark, "encoding": {"y2": {"field": "high"}}}
        )
    if diagonal:
        layers.insert(0, _line([{"x": 0, "y": 0}, {"x": 1, "y": 1}], COLOURS["reference"], 1))
    return {"layer": layers, "encoding": _axes(x, y, [0, 1])}


def overlaid(
    lines: list[tuple[str, list[list[float]]]], x: str, y: str, unit: bool
) -> dict[str, Any]:
    """Several named lines; in the unit square, or where their values are."""
    values = [
        {"name": name, "x": point[0], "y": point[1], "i": at}
        for name, points in lines
        for at, point in enumerate(points)
    ]
    encoding = _axes(x, y, [0, 1] if unit else None) | {
        "color": {
            "field": "name",
            "type": "nominal",
            "sort": None,
            "scale": {"range": list(_LINES)},
        },
        "order": {"field": "i", "type": "quantitative"},
    }
    return {
        "data": {"values": values},
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": encoding,
    }


def calibration(bins: list[list[float]]) -> dict[str, Any]:
    """Predicted against observed, one dot a bin (`[predicted, observed, rows, low, high]`) with its interval."""
    values = [
        {"x": mean, "y": share, "low": low, "high": high} for mean, share, _, low, high in bins
    ]
    dots = {
        "mark": {
            "type": "point",
            "filled": True,
            "opacity": 0.9,
            "color": COLOURS["model"],
            "size": 60,
        }
    }
    ends = {
        "mark": {"type": "rule", "color": COLOURS["model"], "strokeWidth": 1.5, "opacity": 0.7},
        "encoding": {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}},
    }
    drawn = curve(bins, "predicted", "observed", diagonal=True)
    layers = [*drawn["layer"], *({"data": {"values": values}, **one} for one in (ends, dots))]
    return {"layer": layers, "encoding": drawn["encoding"]}


def scatter(points: list[list[float]]) -> dict[str, Any]:
    """Actual against predicted values, with the line of no error."""
    low = min(min(pair) for pair in points)
    high = max(max(pair) for pair in points)
    dots = {
        "data": {"values": [{"x": a, "y": b} for a, b in points]},
        "mark": {
            "type": "point",
            "filled": True,
            "opacity": 0.35,
            "color": COLOURS["model"],
            "size": 18,
        },
    }
    line = _line([{"x": low, "y": low}, {"x": high, "y": high}], COLOURS["reference"], 1)
    return {"layer": [line, dots], "encoding": _axes("actual", "predicted", [low, high])}


def confusion(table: list[list[int]], names: list[str]) -> dict[str, Any]:
    """Counts by true (rows) and predicted (columns) class, each the darker the larger its share of its row."""
    values = [
        {
            "true": names[row],
            "predicted": names[at],
            "rows": f"{count:,}",
            "share": count / max(sum(counts), 1),
        }
        for row, counts in enumerate(table)
        for at, count in enumerate(counts)
    ]
    axis = {"type": "nominal", "sort": None}
    tilt = {"labelAngle": 0 if max(map(len, names)) * len(names) < 40 else -40, "orient": "top"}
    encoding = {
        "x": {"field": "predicted", **axis, "axis": tilt},
        "y": {"field": "true", **axis},
    }
    fill = {
        "field": "share",
        "type": "quantitative",
        "legend": None,
        "scale": {"domain": [0, 1], "range": [COLOURS["model"], COLOURS["model"]]},
    }
    opacity = fill | {"scale": {"domain": [0, 1], "range": [0.04, 0.75]}}
    widest = max(len(f"{count:,}") for counts in table for count in counts)
    side = max(26, min(72, 300 // len(names)))
    return {
        "width": {"step": max(side, 9 * widest)},
        "height": {"step": side},
        "data": {"values": values},
        "encoding": encoding,
        "layer": [
            {
                "mark": {"type": "rect", "cornerRadius": 3},
                "encoding": {"color": fill, "opacity": opacity},
            },
            {"mark": {"type": "text", "color": _INK}, "encoding": {"text": {"field": "rows"}}},
        ],
    }


def timeline(spans: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Rows of each part over time, stacked."""
    times = "T" in spans[0]["from"] or "-" in spans[0]["from"][1:]
    values = [
        {"from": span["from"], "to": span["to"], "part": name, "rows": span[name], "place": place}
        for span in spans
        for place, name in enumerate(names)
    ]
    kind = "temporal" if times else "quantitative"
    x = {
        "field": "from",
        "type": kind,
        "bin": "binned",
        "title": None,
        "axis": {"tickCount": 8} | ({} if times else {"format": "d"}),
    }
    if not times:
        values = [one | {"from": float(one["from"]), "to": float(one["to"])} for one in values]
    encoding = {
        "x": x,
        "x2": {"field": "to"},
        "y": {
            "field": "rows",
            "type": "quantitative",
            "title": "rows",
            "stack": "zero",
            "axis": {"tickCount": 4},
        },
        "color": {
            "field": "part",
            "type": "nominal",
            "sort": None,
            "scale": {"domain": names, "range": list(_PARTS)},
        },
        "order": {"field": "place", "type": "quantitative"},
    }
    mark = {"type": "bar", "orient": "vertical", "binSpacing": 1}
    return {
        "width": 760,
        "height": 130,
        "data": {"values": values},
        "mark": mark,
        "encoding": encoding,
    }


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
        "layer": [
            {"mark": {"type": "bar", "cornerRadiusEnd": 3}, "encoding": {"color": colour}},
            text,
        ],
    }


def trials(rows: list[tuple[str, float, bool]], title: str) -> dict[str, Any]:
    """Many candidates in the order of their trial, by family; those that ship are filled."""
    values = [
        {"trial": at, "name": name, "value": value, "ships": ships}
        for at, (name, value, ships) in enumerate(rows)
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
        {
            "data": {"values": values},
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": encoding,
        }
    ]
    if chosen is not None:
        rule = {"x": {"field": "x", "type": "quantitative"}}
        mark = {"type": "rule", "strokeDash": [4, 3], "color": _INK}
        layers.append({"data": {"values": [{"x": chosen}]}, "mark": mark, "encoding": rule})
    return {"layer": layers}


def _line(
    values: list[dict[str, float]], colour: str, width: float, dashed: bool = False
) -> dict[str, Any]:
    mark = {
        "type": "line",
        "color": colour,
        "strokeWidth": width,
        "strokeDash": [6, 4] if dashed else [1, 0],
    }
    numbered = [
        {**value, "i": at} for at, value in enumerate(values)
    ]  # drawn in their order, not by x
    return {
        "data": {"values": numbered},
        "mark": mark,
        "encoding": {"order": {"field": "i", "type": "quantitative"}},
    }


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
