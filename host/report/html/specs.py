"""The figures as Vega-Lite, https://vega.github.io/vega-lite/docs/: the page draws them, and vl-convert, from one text.

Data stay apart, under the names of `Figure.data`, for a figure has them once and its text in two languages. What a
click on the legend hides is filtered out, so that the axes fit what is left.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from host.report.html.palette import FLOAT_MODEL, Style
from host.report.html.texts import Language, say

Spec = dict[str, Any]
Styles = Mapping[str, Style]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
WIDTH, HEIGHT = 720, 400
"""Of a file, in pixels; in the page a figure is as wide as there is room."""

FONT = "system-ui, 'Noto Sans', 'Noto Sans CJK JP', 'Hiragino Sans', 'Yu Gothic UI', Meiryo, sans-serif"
INK, FAINT, GRID, NEUTRAL = "#1f2328", "#59636e", "#e4e7ea", "#8c959f"

_CROSSES, _LABEL = 9, 15
"""Above the plot, for each board that lacks something: pixels up to its crosses, and from these up to their label."""

_LINE = 31
_SHOWN = {"filter": {"param": "shown"}}
_IN_SIGHT = {"opacity": {"condition": {"test": "inrange(datum.place, domain('x'))", "value": 1}, "value": 0}}
"""What is not clipped must not be left beside the plot once it is zoomed."""

_Y_AXIS: Spec = {"labelOverlap": True, "tickCount": 6}
_CONFIG: Spec = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": GRID,
        "domainColor": FAINT,
        "tickColor": FAINT,
    },
    "legend": {
        "orient": "bottom",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": INK,
        "labelLimit": 220,
        "symbolSize": 90,
        "symbolStrokeWidth": 2,
    },
}


def against_rate(
    name: str, language: Language, styles: Styles, rates: Sequence[float], lacking: Sequence[str], *, zero: bool
) -> Spec:
    """A figure against the rate: a line for each board, the error bars of its trials, above them what is missing.

    `rates` ascend from 0, the control's. `lacking` are the boards with something missing.
    `zero`: the axis begins there.
    """
    looks = _looks(language, styles)
    scale = {"zero": True} if zero else {"zero": False, "padding": 12}
    at: dict[str, Spec] = {
        "x": _rate_axis(language, rates),
        "y": {**_number("mean", say(f"{name}_axis", language)), "scale": scale, "axis": _Y_AXIS},
    }
    points: Spec = {"data": {"name": "points"}, "transform": [_SHOWN]}
    tip = _tooltip(language, f"name_{language}", "rate", "value", "interval", "trials")
    bars = {**at, "y": {**at["y"], "field": "low"}, "y2": {"field": "high"}, "color": looks["color"]}
    layers: list[Spec] = [
        {
            "data": {"name": "points"},
            "transform": [_SHOWN, {"filter": "datum.joined"}],
            "params": [_legend_toggle()],
            "mark": _line(2),
            "encoding": {**at, "color": looks["color"]},
        },
        {**points, "mark": {"type": "rule", "strokeWidth": 1.5}, "encoding": bars},
        *({**points, "mark": _cap(), "encoding": {**at, "y": end, "color": looks["color"]}} for end in _ends(at["y"])),
        {
            "data": {"name": "trials"},
            "transform": [_SHOWN],
            "mark": {"type": "point", "filled": True, "size": 14, "opacity": 0.4, "tooltip": None},
            "encoding": {**at, **looks},
        },
        {
            **points,
            "params": [_zoom()],
            "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
            "encoding": {**at, **looks, "tooltip": tip},
        },
        _ring("control", at, 190),
        _ring("chosen", at, 330),
    ]
    for place, board in enumerate(reversed(lacking)):
        layers += _missing(board, styles[board].colour, at["x"], -_CROSSES - _LINE * place, language)
    return _figure(name, language, layers, above=_LINE * len(lacking))


def pareto(language: Language, styles: Styles, *, log: bool) -> Spec:
    """AUC against latency: what nobody beats in AUC, latency and memory is full and joined, all else hollow."""
    looks = _looks(language, styles)
    scale = {"type": "log", "nice": False, "padding": 30} if log else {"zero": False, "nice": False, "padding": 30}
    at: dict[str, Spec] = {
        "x": {**_number("latency", say("latency_axis", language)), "scale": scale, "axis": _Y_AXIS},
        "y": {
            **_number("auc", say("auc_axis", language)),
            "scale": {"zero": False, "nice": False, "padding": 26},
            "axis": _Y_AXIS,
        },
    }
    size = {
        **_number("memory", say("memory_axis", language)),
        "scale": {"range": [20, 500], "zero": True},
        "legend": {"symbolStrokeColor": NEUTRAL, "symbolFillColor": "white", "tickCount": 3},
    }
    points: Spec = {"data": {"name": "points"}, "transform": [_SHOWN]}
    on_front = {"data": {"name": "points"}, "transform": [_SHOWN, {"filter": "datum.front"}]}
    figures = ("latency_text", f"auc_text_{language}", "memory_text")
    tip = _tooltip(language, f"name_{language}", "rate", *figures, f"front_{language}")
    layers: list[Spec] = [
        {
            **on_front,
            "params": [_legend_toggle()],
            "mark": {**_line(1.5), "opacity": 0.7},
            "encoding": {**at, "color": looks["color"]},
        },
        {
            **points,
            "params": [_zoom()],
            "mark": {
                "type": "point",
                "filled": True,
                "stroke": {"expr": "scale('color', datum.board)"},
                "strokeWidth": 1.5,
                "opacity": 1,
            },
            "encoding": {
                **at,
                **looks,
                "size": size,
                "fillOpacity": {"condition": {"test": "datum.front", "value": 0.7}, "value": 0},
                "tooltip": tip,
            },
        },
        {
            **on_front,
            "mark": {"type": "text", "dy": -17, "fontSize": 11, "color": INK, "tooltip": None},
            "encoding": {**at, "text": {"field": "label", "type": "nominal"}},
        },
        _ring("chosen", at, 900),
    ]
    return _figure("pareto", language, layers)


def _figure(name: str, language: Language, layers: list[Spec], above: int = 0) -> Spec:
    """`above`: pixels between plot and title that something stands in."""
    title = say(f"{name}_title", language)
    return {
        "$schema": SCHEMA,
        "title": {"text": title, "offset": 14, "anchor": "start", "fontSize": 15, "color": INK},
        "description": title,
        "width": WIDTH,
        "height": HEIGHT + above,
        "background": "white",
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": 6,
        "layer": layers,
        "config": _CONFIG,
    }


def _number(field: str, title: str) -> Spec:
    return {"field": field, "type": "quantitative", "title": title}


def _looks(language: Language, styles: Styles) -> dict[str, Spec]:
    """Colour and mark of a board: one legend. (With the dash in it, its marks would have frayed edges.)"""
    floats = f"datum.value === {json.dumps(FLOAT_MODEL)}"
    legend = {
        "columns": {"expr": "width < 420 ? 2 : 5"},
        "labelExpr": f"{floats} ? {json.dumps(say('float_model', language))} : datum.value",
    }

    def channel(values: list[str]) -> Spec:
        return {
            "field": "board",
            "type": "nominal",
            "title": say("board", language),
            "scale": {"domain": list(styles), "range": values},
            "legend": legend,
        }

    return {
        "color": channel([style.colour for style in styles.values()]),
        "shape": channel([style.shape for style in styles.values()]),
    }


def _line(width: float) -> Spec:
    return {"type": "line", "strokeWidth": width, "strokeDash": {"expr": "datum.dash"}, "tooltip": None}


def _rate_axis(language: Language, rates: Sequence[float]) -> Spec:
    """By the weights that are left, on a logarithmic axis: from 99 to 99.9 % is as far as from 0 to 90 %."""
    left = [1 - rate for rate in rates]
    control = json.dumps(["0", say("control", language)])
    return {
        **_number("place", say("rate_axis", language)),
        "scale": {"type": "log", "domain": [0.75 * min(left), 1.3], "reverse": True, "nice": False},
        "axis": {
            "values": left,
            "labelExpr": f"datum.value > 1 - 1e-9 ? {control} : format(100 * (1 - datum.value), '.5~g')",
            "labelOverlap": "greedy",
            "labelFlush": False,
        },
    }


def _tooltip(language: Language, *fields: str) -> list[Spec]:
    titles = {
        f"name_{language}": "board",
        f"code_{language}": "reason",
        f"front_{language}": "on_front",
        "latency_text": "latency_axis",
        f"auc_text_{language}": "auc_axis",
        "memory_text": "memory_axis",
        "reason": "reason",
    }
    return [{"field": field, "type": "nominal", "title": say(titles.get(field, field), language)} for field in fields]


def _ends(y: Spec) -> list[Spec]:
    return [{**y, "field": field} for field in ("low", "high")]


def _cap() -> Spec:
    return {"type": "tick", "orient": "horizontal", "size": 9, "thickness": 1.5, "tooltip": None}


def _legend_toggle() -> Spec:
    """A click on a name shows it alone, a click on another adds it, and a double click shows all again.

    It is of the first layer: what later ones say of a legend is lost where Vega-Lite makes one of all of them.
    """
    return {"name": "shown", "select": {"type": "point", "fields": ["board"], "toggle": "true"}, "bind": "legend"}


def _zoom() -> Spec:
    """The bare wheel stays the page's."""
    return {"name": "zoom", "select": {"type": "interval", "zoom": "wheel![event.ctrlKey]"}, "bind": "scales"}


def _ring(field: str, at: Mapping[str, Spec], size: int) -> Spec:
    """Around the points of which `field` is true: dashed the control, whole the chosen one."""
    return {
        "data": {"name": "points"},
        "transform": [_SHOWN, {"filter": f"datum.{field}"}],
        "mark": {
            "type": "point",
            "filled": False,
            "shape": "circle",
            "size": size,
            "color": INK,
            "strokeWidth": 1.5,
            "strokeDash": [2, 2] if field == "control" else [1, 0],
            "tooltip": None,
        },
        "encoding": dict(at),
    }


def _missing(board: str, colour: str, x: Spec, height: int, language: Language) -> list[Spec]:
    """A cross at each rate that this board lacks, at this height above the plot, and over them one label."""
    own = [{"filter": f"datum.board === {json.dumps(board)}"}]
    mark = {"type": "text", "color": colour, "clip": False}
    tip = _tooltip(language, f"name_{language}", "rate", f"code_{language}", "reason")
    return [
        {
            "data": {"name": "missing"},
            "transform": own,
            "mark": {**mark, "text": "✕", "fontSize": 12, "fontWeight": "bold"},
            "encoding": {"x": x, "y": {"value": height}, **_IN_SIGHT, "tooltip": tip},
        },
        {
            "data": {"name": "labels"},
            "transform": own,
            "mark": {**mark, "align": {"expr": "datum.align"}, "fontSize": 11, "tooltip": None},
            "encoding": {
                "x": x,
                "y": {"value": height - _LABEL},
                **_IN_SIGHT,
                "text": {"field": f"text_{language}", "type": "nominal"},
            },
        },
    ]
