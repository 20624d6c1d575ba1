"""Charts as SVG that fits any page: Vega-Lite drawn without a browser.

A `plot_…` function returns a Vega-Lite spec as a plain dict, and `render_svg` draws it. Plain dicts
are the grammar that Altair would produce, without loading a second library. Text and axes take the
colour of the page's text, so that a chart fits a light and a dark page.
"""

from datetime import datetime, timedelta
from typing import Any

Chart = dict[str, Any]
"""A Vega-Lite spec, or a part of one."""

_INK = "currentColor"
_CONFIG: Chart = {
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
        "labelLimit": 0,
    },
    "legend": {
        "labelColor": _INK,
        "titleColor": _INK,
        "labelFontSize": 11,
        "labelLimit": 0,
        "orient": "top",
        "title": None,
    },
    "view": {"stroke": None},
}
_MODEL_COLOUR = "#2f7ed8"
_REFERENCE_COLOUR = "#8c8c8c"
_CHAMPION_COLOUR = "#d97706"
_LINE_COLOURS = ["#2f7ed8", "#d97706", "#1a7f4b", "#8b5cf6", "#8c8c8c"]
_PART_COLOURS = ["#2f7ed8", "#8b5cf6", "#d97706", "#8c8c8c"]
_FAMILY_COLOURS = ["#2f7ed8", "#d97706", "#8c8c8c"]


def render_svg(chart: Chart, title: str) -> str:
    """Draw a Vega-Lite spec as SVG; a screen reader says its `title`."""
    import vl_convert

    sized = {"width": 300, "height": 220, "config": _CONFIG, **chart}
    drawn: str = vl_convert.vegalite_to_svg(sized)
    # the first tag is <svg …>
    start, body = drawn.split(">", 1)
    # the page decides how wide a chart is
    return f'{start} role="img" aria-label="{title}" style="width:100%;height:auto">{body}'


def plot_curve(
    points: list[list[float]],
    x: str,
    y: str,
    diagonal: bool,
    band: list[list[float]] | None = None,
    champion: list[list[float]] | None = None,
) -> Chart:
    """Plot a line in the unit square.

    Parameters: `points`, each `[x, y, …]`; `x` and `y`, titles of the axes; `diagonal`, whether to
    draw the diagonal of chance; `band`, the interval of the line as `[x, low, high]`; `champion`,
    the points of the champion's line, which is dashed.
    """
    # a later layer lies over an earlier one
    layers = []
    if diagonal:
        layers.append(_line([{"x": 0, "y": 0}, {"x": 1, "y": 1}], _REFERENCE_COLOUR, 1))
    if band:
        values = [{"x": at, "y": low, "high": high} for at, low, high in band]
        mark = {"type": "area", "color": _MODEL_COLOUR, "opacity": 0.22}
        encoding = {"y2": {"field": "high"}}
        layers.append({"data": {"values": values}, "mark": mark, "encoding": encoding})
    if champion:
        layers.append(_line(_xy(champion), _CHAMPION_COLOUR, 2, dashed=True))
    layers.append(_line(_xy(points), _MODEL_COLOUR, 2.5))
    return {"layer": layers, "encoding": _axes(x, y, [0, 1])}


def plot_by_cut(points: list[list[float]], champion: list[list[float]] | None = None) -> Chart:
    """Plot NDCG by the number of first rows, with its band; the champion's line is dashed.

    A point is `[rows, value, low, high]`.
    """
    layers: list[Chart] = []
    values = [{"x": at, "y": low, "high": high} for at, _, low, high in points]
    band = {"type": "area", "color": _MODEL_COLOUR, "opacity": 0.22}
    layers.append({"data": {"values": values}, "mark": band, "encoding": {"y2": {"field": "high"}}})
    if champion:
        layers.append(_line(_xy(champion), _CHAMPION_COLOUR, 2, dashed=True))
    layers.append(_line(_xy(points), _MODEL_COLOUR, 2.5))
    encoding = _axes("rows that are looked at", "NDCG", None)
    encoding["x"]["scale"] = {"type": "log", "nice": False}
    encoding["x"]["axis"] = {"values": [point[0] for point in points], "labelOverlap": True}
    return {"layer": layers, "encoding": encoding}


def plot_histogram(bins: list[list[float]], x: str, y: str) -> Chart:
    """Plot how many there are in each bin, given as `[from, to, count]`."""
    values = [{"from": low, "to": high, "count": count} for low, high, count in bins]
    encoding = {
        "x": _quantitative("from", title=x, bin="binned", axis={"tickCount": 5}),
        "x2": {"field": "to"},
        "y": _quantitative("count", title=y, axis={"tickCount": 5}),
    }
    mark = {"type": "bar", "color": _MODEL_COLOUR, "binSpacing": 1}
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}


def plot_lines(
    lines: list[tuple[str, list[list[float]]]], x: str, y: str, in_unit_square: bool
) -> Chart:
    """Plot several named lines of points `[x, y]`, in the unit square or where their points are."""
    values = []
    for name, points in lines:
        for index, point in enumerate(points):
            values.append({"name": name, "x": point[0], "y": point[1], "i": index})
    encoding = _axes(x, y, [0, 1] if in_unit_square else None)
    encoding["color"] = _nominal("name", sort=None, scale={"range": _LINE_COLOURS})
    encoding["order"] = _quantitative("i")
    mark = {"type": "line", "strokeWidth": 2}
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}


def plot_calibration(bins: list[list[float]]) -> Chart:
    """Plot the predicted against the observed share, a dot with its interval for each bin.

    A bin is `[predicted, observed, rows, low, high]`.
    """
    values = []
    for predicted, observed, _, low, high in bins:
        values.append({"x": predicted, "y": observed, "low": low, "high": high})
    interval = {
        "data": {"values": values},
        "mark": {"type": "rule", "color": _MODEL_COLOUR, "strokeWidth": 1.5, "opacity": 0.7},
        "encoding": {"y": _quantitative("low"), "y2": {"field": "high"}},
    }
    dots = {"data": {"values": values}, "mark": _dots(_MODEL_COLOUR, 60, 0.9)}
    curve = plot_curve(bins, "predicted", "observed", diagonal=True)
    return {"layer": [*curve["layer"], interval, dots], "encoding": curve["encoding"]}


def plot_scatter(points: list[list[float]]) -> Chart:
    """Plot actual against predicted values, with the line on which both are equal."""
    low = min(min(pair) for pair in points)
    high = max(max(pair) for pair in points)
    line = _line([{"x": low, "y": low}, {"x": high, "y": high}], _REFERENCE_COLOUR, 1)
    dots = {"data": {"values": _xy(points)}, "mark": _dots(_MODEL_COLOUR, 18, 0.35)}
    return {"layer": [line, dots], "encoding": _axes("actual", "predicted", [low, high])}


def plot_confusion(table: list[list[int]], names: list[str]) -> Chart:
    """Plot counts by true class (rows) and predicted class (columns) as a heat map.

    A cell is the darker, the larger its share of its row.
    """
    values = []
    for true, counts in zip(names, table, strict=True):
        total = max(sum(counts), 1)
        for predicted, count in zip(names, counts, strict=True):
            cell = {"true": true, "predicted": predicted}
            values.append(cell | {"rows": f"{count:,}", "share": count / total})

    # long names would overlap unless they are tilted
    is_short = max(map(len, names)) * len(names) < 40
    axis = {"labelAngle": 0 if is_short else -40, "orient": "top"}
    encoding = {
        "x": _nominal("predicted", sort=None, axis=axis),
        "y": _nominal("true", sort=None),
    }
    one_colour = {"domain": [0, 1], "range": [_MODEL_COLOUR, _MODEL_COLOUR]}
    fill = _quantitative("share", legend=None, scale=one_colour)
    opacity = _quantitative("share", legend=None, scale={"domain": [0, 1], "range": [0.04, 0.75]})

    # a cell is as wide as its longest number, and as high as fits the page
    longest = max(len(f"{count:,}") for counts in table for count in counts)
    side = max(26, min(72, 300 // len(names)))
    return {
        "width": {"step": max(side, 9 * longest)},
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


def plot_timeline(spans: list[dict[str, Any]], names: list[str]) -> Chart:
    """Plot the rows of each part of a split over time, stacked.

    A span has `from`, `to` and the rows of each part by its name. The order of rows may also be by
    numbers; then `from` and `to` are numbers as text.
    """
    start = spans[0]["from"]
    # a minus may stand first in a number, and only there
    is_time = "T" in start or "-" in start[1:]
    values = []
    for span in spans:
        begin = span["from"]
        end = span["to"]
        if not is_time:
            begin = float(begin)
            end = float(end)
        for place, name in enumerate(names):
            values.append(
                {"from": begin, "to": end, "part": name, "rows": span[name], "place": place}
            )

    axis: Chart = {"tickCount": 8} if is_time else {"tickCount": 8, "format": "d"}
    x = {"field": "from", "type": "temporal" if is_time else "quantitative"}
    encoding = {
        "x": x | {"bin": "binned", "title": None, "axis": axis},
        "x2": {"field": "to"},
        "y": _quantitative("rows", title="rows", stack="zero", axis={"tickCount": 4}),
        "color": _nominal("part", sort=None, scale={"domain": names, "range": _PART_COLOURS}),
        "order": _quantitative("place"),
    }
    return {
        "width": 760,
        "height": 130,
        "data": {"values": values},
        "mark": {"type": "bar", "orient": "vertical", "binSpacing": 1},
        "encoding": encoding,
    }


def plot_trials(rows: list[tuple[str, float, bool]], title: str) -> Chart:
    """Plot candidates as dots in the order of their trial, by family.

    A row is a family, a value, and whether the candidate ships; those that ship are filled.
    """
    values = [
        {"trial": index, "name": name, "value": value, "ships": ships}
        for index, (name, value, ships) in enumerate(rows, 1)
    ]
    axis = {"tickMinStep": 1, "format": "d"}
    encoding = {
        "x": _quantitative("trial", title="trial", axis=axis, scale={"zero": False}),
        "y": _quantitative("value", title=title, scale={"zero": False}),
        "color": _nominal("name", scale={"range": _FAMILY_COLOURS}),
    }
    tried = {"mark": {"type": "point", "size": 45}, "encoding": encoding}
    shipped = {
        "transform": [{"filter": "datum.ships"}],
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": encoding,
    }
    return {"width": 760, "height": 150, "data": {"values": values}, "layer": [tried, shipped]}


def plot_sequence(
    moments: list[dict[str, Any]], title: str, bounds: tuple[float, float], rules: dict[str, float]
) -> Chart:
    """Plot an interval over time: a band, its middle, and lines at values that matter.

    Parameters: `moments`, each `{"at", "low", "point", "high"}`, with times in ISO 8601; `bounds`
    of the axis, to which ends beyond are clipped; `rules`, values by what they mean.
    """
    low, high = bounds
    clipped = [
        one | {"low": max(one["low"], low), "high": min(one["high"], high)} for one in moments
    ]
    inside = [one for one in moments if low <= one["point"] <= high]
    axis = {"tickCount": 4, "format": _choose_time_format(moments[0]["at"], moments[-1]["at"])}
    time = {"field": "at", "type": "temporal", "title": None, "axis": axis}
    time["scale"] = {"type": "utc"}
    scale = {"domain": [low, high]}
    number = _quantitative("low", title=title, scale=scale, axis={"format": "+.0%"})
    band = {
        "data": {"values": clipped},
        "mark": {"type": "area", "color": _MODEL_COLOUR, "opacity": 0.22},
        "encoding": {"x": time, "y": number, "y2": {"field": "high"}},
    }
    middle = {
        "data": {"values": inside},
        "mark": {"type": "line", "color": _MODEL_COLOUR, "strokeWidth": 2},
        "encoding": {"x": time, "y": _quantitative("point")},
    }
    lines = [{"name": name, "value": value} for name, value in rules.items()]
    rule = {
        "data": {"values": lines},
        "mark": {"type": "rule", "strokeDash": [4, 3], "color": _INK},
        "encoding": {"y": _quantitative("value")},
    }
    words = {
        "data": {"values": lines},
        "mark": {"type": "text", "align": "right", "dx": -4, "dy": -6, "color": _INK},
        "encoding": {
            "x": {"value": "width"},
            "y": _quantitative("value"),
            "text": {"field": "name", "type": "nominal"},
        },
    }
    return {"width": 420, "height": 220, "layer": [band, middle, rule, words]}


def _choose_time_format(first: str, last: str) -> str:
    """Choose the format of times on an axis by how long the axis is.

    >>> _choose_time_format("2026-01-01T00:00:00", "2026-01-09T00:00:00")
    '%b %d'
    """
    span = datetime.fromisoformat(last) - datetime.fromisoformat(first)
    if span > timedelta(days=3):
        return "%b %d"
    return "%b %d %H:%M" if span > timedelta(hours=6) else "%H:%M:%S"


def plot_thresholds(rows: list[dict[str, float]], chosen: float | None) -> Chart:
    """Plot precision, recall and F1 over thresholds, with a rule at the chosen threshold."""
    values = []
    for row in rows:
        for name in ("precision", "recall", "f1"):
            values.append({"threshold": row["threshold"], "what": name, "value": row[name]})
    encoding = _axes("threshold", "", [0, 1])
    encoding["x"]["field"] = "threshold"
    encoding["y"]["field"] = "value"
    encoding["color"] = _nominal("what", scale={"range": _FAMILY_COLOURS})
    mark: Chart = {"type": "line", "strokeWidth": 2}
    layers = [{"data": {"values": values}, "mark": mark, "encoding": encoding}]
    if chosen is not None:
        mark = {"type": "rule", "strokeDash": [4, 3], "color": _INK}
        encoding = {"x": _quantitative("x")}
        layers.append({"data": {"values": [{"x": chosen}]}, "mark": mark, "encoding": encoding})
    return {"layer": layers}


def _xy(points: list[list[float]]) -> list[dict[str, float]]:
    return [{"x": point[0], "y": point[1]} for point in points]


def _line(values: list[dict[str, float]], colour: str, width: float, dashed: bool = False) -> Chart:
    """Make a layer with a line through points with `x` and `y`, in their order."""
    mark = {
        "type": "line",
        "color": colour,
        "strokeWidth": width,
        "strokeDash": [6, 4] if dashed else [1, 0],
    }
    # without an order of its own Vega-Lite would sort the points by x
    numbered = [{**value, "i": index} for index, value in enumerate(values)]
    return {"data": {"values": numbered}, "mark": mark, "encoding": {"order": _quantitative("i")}}


def _dots(colour: str, size: int, opacity: float) -> Chart:
    return {"type": "point", "filled": True, "opacity": opacity, "color": colour, "size": size}


def _axes(x: str, y: str, domain: list[float] | None) -> Chart:
    """Make encodings of `x` and `y` with these titles; without a domain they fit the values."""
    axes = {}
    for field, title in (("x", x), ("y", y)):
        scale = {"domain": domain} if domain else {"zero": False}
        axes[field] = _quantitative(field, title=title, scale=scale, axis={"tickCount": 5})
    return axes


def _quantitative(field: str, **options: Any) -> Chart:
    return {"field": field, "type": "quantitative", **options}


def _nominal(field: str, **options: Any) -> Chart:
    return {"field": field, "type": "nominal", **options}
