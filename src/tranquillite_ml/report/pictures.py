"""Pictures of the report as SVG: every text escaped, every number with the path it has in the JSON file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from tranquillite_ml.report.colours import colours
from tranquillite_ml.report.wording import shown

if TYPE_CHECKING:
    from tranquillite_ml.report.mapped import Drawing

STRIP_WIDTH, STRIP_HEIGHT, EDGE = 260, 22, 16
CHART = 640, 340, 84, 50
"""Width and height of a chart, and the room left of and below it."""
_RIGHT = 28  # half of the last number of the scale
LINE_COLOURS = ("#0072B2", "#B54A00", "#00704F", "#8A4A74", "#7A5A00", "#2B6C99", "#333333")
DASHES = ("", "6 3", "2 3", "8 3 2 3")
SHADES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#999999")
_MOST_TICKS = 4  # more would touch each other
_MOST_BANDS = 2  # more would hide each other
Scale = Callable[[float], float]


def tag(name: str, *inside: str, **given: object) -> Markup:
    """An element whose attributes and contents are escaped; ``stroke_width`` becomes ``stroke-width``.

    Examples
    --------
    >>> tag("text", "<b>", x=1, data_path="/a")
    Markup('<text x="1" data-path="/a">&lt;b&gt;</text>')
    """
    attributes = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in given.items()
        if value is not None
    )
    held = "".join(map(escape, inside))
    return Markup(f"<{name}{attributes}>{held}</{name}>")  # noqa: S704 - names are ours, the rest is escaped


def scale(ticks: Sequence[float], kind: str, begin: float, end: float) -> Scale:
    """Give the place of a value between two ends, kept inside them.

    Examples
    --------
    >>> scale([0.5, 2.0], "log", 0, 100)(1.0), scale([0.0, 1.0], "linear", 0, 100)(7.0)
    (50.0, 100.0)
    """
    turn = math.log if kind == "log" else float
    low, high = turn(ticks[0]), turn(ticks[-1])

    def place(value: float) -> float:
        if kind == "log" and value <= 0:
            return begin
        share = (turn(value) - low) / (high - low)
        return round(begin + min(max(share, 0.0), 1.0) * (end - begin), 1)

    return place


# ---------------------------------------------------------------------- strips beside the rows of a table


def strip(figure: Mapping[str, Any], number: int, row: Mapping[str, Any]) -> Markup:
    """Picture of one row: an interval, or a bar, on the scale that all rows of a figure share."""
    at = _place(figure)
    parts = [tag("use", href=f"#grid-{number}")]
    if row.get("value") is not None:
        parts += _bar(row, at) if figure["kind"] == "bars" else _interval(row, at)
    return tag("svg", *parts, class_="strip", viewBox=f"0 0 {STRIP_WIDTH} {STRIP_HEIGHT}", aria_hidden="true")


def axis(figure: Mapping[str, Any], path: str, language: str) -> Markup:
    """The numbers of the scale that strips share."""
    at, unit = _place(figure), figure.get("unit", "number")
    every = 2 if len(figure["ticks"]) > _MOST_TICKS else 1
    parts = [
        tag(
            "text",
            shown(value, unit, language),
            x=at(value),
            y=15,
            text_anchor="middle",
            class_="tick",
            data_path=f"{path}/ticks/{k}",
            data_as=unit,
        )
        for k, value in enumerate(figure["ticks"])
        if k % every == 0
    ]
    return tag("svg", *parts, class_="strip", viewBox=f"0 0 {STRIP_WIDTH} {STRIP_HEIGHT}", aria_hidden="true")


def _place(figure: Mapping[str, Any]) -> Scale:
    return scale(figure["ticks"], figure.get("scale", "linear"), EDGE, STRIP_WIDTH - EDGE)


def _grid(figure: Mapping[str, Any], number: int) -> Markup:
    """What stands behind every strip of a figure: band, scale, limits and reference; once for all rows."""
    at, band = _place(figure), figure.get("band") or (None, None)
    parts = []
    if band[0] is not None and band[1] is not None:
        low, high = at(band[0]), at(band[1])
        parts.append(tag("rect", x=low, y=0, width=round(high - low, 1), height=STRIP_HEIGHT, class_="band"))
    marks = (
        ("gridline", figure["ticks"]),
        ("limit", [end for end in band if end is not None]),
        ("reference", [] if figure.get("reference") is None else [figure["reference"]]),
    )
    for name, values in marks:
        d = "".join(f"M{at(value)} 0V{STRIP_HEIGHT}" for value in values)
        parts += [tag("path", d=d, class_=name)] if d else []
    return tag("g", *parts, id=f"grid-{number}")


def _interval(row: Mapping[str, Any], at: Scale) -> list[Markup]:
    middle, found = STRIP_HEIGHT // 2, []
    if row.get("lower") is not None and row.get("upper") is not None:
        low, high = at(row["lower"]), at(row["upper"])
        d = f"M{low} {middle}H{high}M{low} {middle - 4}v8M{high} {middle - 4}v8"
        found.append(tag("path", d=d, class_="whisker"))
    return [*found, tag("circle", cx=at(row["value"]), cy=middle, r=4.5, class_="dot")]


def _bar(row: Mapping[str, Any], at: Scale) -> list[Markup]:
    low, high = sorted((at(0.0), at(row["value"])))
    width = max(round(high - low, 1), 1)
    return [tag("rect", x=low, y=5, width=width, height=STRIP_HEIGHT - 10, class_="bar")]


# ---------------------------------------------------------------------- curves


def lines(figure: Mapping[str, Any], path: str, language: str) -> Markup:
    """Curves with their bands, points and scales."""
    width, height, left, bottom = CHART
    x = scale(figure["x_ticks"], "linear", left, width - _RIGHT)
    y = scale(figure["ticks"], "linear", height - bottom, 12)
    parts = [*_axes(figure, path, language, x, y)]
    if figure.get("diagonal"):
        end = min(figure["x_ticks"][-1], figure["ticks"][-1])
        parts.append(tag("line", x1=x(0), y1=y(0), x2=x(end), y2=y(end), class_="reference"))
    if figure.get("reference") is not None:
        level = y(figure["reference"])
        parts.append(tag("line", x1=left, x2=width - _RIGHT, y1=level, y2=level, class_="reference"))
    key = figure.get("series")
    names = list(dict.fromkeys(row[key]["en"] for row in figure["rows"])) if key else [None]
    for number, name in enumerate(names):
        rows = [row for row in figure["rows"] if key is None or row[key]["en"] == name]
        parts += _curve(rows, number, x, y, banded=len(names) <= _MOST_BANDS)
    return tag(
        "svg",
        *parts,
        class_="chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=figure["alt"][language],
    )


def _axes(figure: Mapping[str, Any], path: str, language: str, x: Scale, y: Scale) -> list[Markup]:
    width, height, left, bottom = CHART
    kinds = {one["key"]: one for one in figure["columns"]}
    parts = []
    for k, value in enumerate(figure["ticks"]):
        kind = kinds["y"]["as"]
        parts.append(tag("line", x1=left, x2=width - _RIGHT, y1=y(value), y2=y(value), class_="gridline"))
        parts.append(
            tag(
                "text",
                shown(value, kind, language),
                x=left - 8,
                y=y(value) + 4,
                text_anchor="end",
                class_="tick",
                data_path=f"{path}/ticks/{k}",
                data_as=kind,
            )
        )
    for k, value in enumerate(figure["x_ticks"]):
        kind = kinds["x"]["as"]
        parts.append(
            tag(
                "text",
                shown(value, kind, language),
                x=x(value),
                y=height - bottom + 18,
                text_anchor="middle",
                class_="tick",
                data_path=f"{path}/x_ticks/{k}",
                data_as=kind,
            )
        )
    parts.append(
        tag("line", x1=left, x2=width - _RIGHT, y1=height - bottom, y2=height - bottom, class_="axisline")
    )
    middle = (height - bottom + 12) / 2
    labels = {key: kinds[key]["label"][language] for key in ("x", "y")}
    parts.append(
        tag(
            "text",
            labels["x"],
            x=(left + width - _RIGHT) / 2,
            y=height - 10,
            text_anchor="middle",
            class_="axis",
        )
    )
    parts.append(
        tag(
            "text",
            labels["y"],
            x=16,
            y=middle,
            text_anchor="middle",
            class_="axis",
            transform=f"rotate(-90 16 {middle:g})",
        )
    )
    return parts


def _curve(
    rows: Sequence[Mapping[str, Any]], number: int, x: Scale, y: Scale, *, banded: bool
) -> list[Markup]:
    colour, dash = line_style(number)
    found = []
    sure = [row for row in rows if row.get("lower") is not None and row.get("upper") is not None]
    if banded and len(sure) > 1:
        there = [f"{x(row['x'])},{y(row['upper'])}" for row in sure]
        back = [f"{x(row['x'])},{y(row['lower'])}" for row in reversed(sure)]
        found.append(tag("polygon", points=" ".join([*there, *back]), fill=colour, fill_opacity="0.12"))
    points = " ".join(f"{x(row['x'])},{y(row['y'])}" for row in rows)
    found.append(
        tag(
            "polyline",
            points=points,
            fill="none",
            stroke=colour,
            stroke_width=2,
            stroke_dasharray=dash or None,
        )
    )
    return [*found, tag("g", *(_point(x(row["x"]), y(row["y"]), number) for row in rows), fill=colour)]


def line_style(number: int) -> tuple[str, str]:
    """Colour and dashes of a curve."""
    return LINE_COLOURS[number % len(LINE_COLOURS)], DASHES[number % len(DASHES)]


def _point(x: float, y: float, number: int) -> Markup:
    """A mark whose form differs from curve to curve."""
    forms = (
        lambda: tag("circle", cx=x, cy=y, r=3.5),
        lambda: tag("rect", x=round(x - 3.2, 1), y=round(y - 3.2, 1), width=6.4, height=6.4),
        lambda: tag("polygon", points=f"{x},{y - 4.5:.1f} {x - 4:.1f},{y + 3:.1f} {x + 4:.1f},{y + 3:.1f}"),
        lambda: tag(
            "polygon", points=f"{x},{y - 4.5:.1f} {x - 4.5:.1f},{y} {x},{y + 4.5:.1f} {x + 4.5:.1f},{y}"
        ),
    )
    return forms[number % len(forms)]()


def sample(number: int) -> Markup:
    """A piece of a curve, for its legend."""
    colour, dash = line_style(number)
    line = tag("line", x1=0, x2=40, y1=8, y2=8, stroke=colour, stroke_width=2, stroke_dasharray=dash or None)
    mark = tag("g", _point(20, 8, number), fill=colour)
    return tag("svg", line, mark, class_="sample", viewBox="0 0 40 16", aria_hidden="true")


# ---------------------------------------------------------------------- maps


def map_fills(figure: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Colour, and pattern laid over it, of each class of a map; the last class is what is not shown."""
    n = len(figure["rows"]) - 1
    if figure["unit"] == "class":
        fills: list[tuple[str, str | None]] = [
            (SHADES[k % len(SHADES)], (None, "lines", "dots", "cross")[k % 4]) for k in range(n)
        ]
    else:
        fills = []
        fills += [(colour, None) for colour in reversed(colours(max(n, 1)))][:n]
    return [*fills, ("#ffffff", "hatch")]


def shared(drawings: Mapping[str, Drawing], figures: Sequence[Mapping[str, Any]]) -> Markup:
    """Cells of every map and what stands behind every strip, once for both languages."""
    paths = [
        tag("path", id=f"{name}-{k}", d=d)
        for name, one in drawings.items()
        for k, d in enumerate(one.paths)
        if d
    ]
    grids = [_grid(one, k) for k, one in enumerate(figures) if one["kind"] in {"intervals", "bars"}]
    held = tag("defs", *paths, *_patterns(), *grids)
    return tag("svg", held, class_="defs", aria_hidden="true", width=0, height=0)


def _patterns() -> list[Markup]:
    def pattern(name: str, *inside: Markup) -> Markup:
        return tag("pattern", *inside, id=f"fill-{name}", width=80, height=80, patternUnits="userSpaceOnUse")

    def ink(d: str) -> Markup:
        return tag("path", d=d, stroke="#1b1f24", stroke_width=10, fill="none")

    return [
        pattern("hatch", tag("path", d="M0 80L80 0", stroke="#8a929b", stroke_width=8, fill="none")),
        pattern("lines", ink("M0 40H80")),
        pattern("dots", tag("circle", cx=40, cy=40, r=12, fill="#1b1f24")),
        pattern("cross", ink("M0 40H80M40 0V80")),
    ]


def map_picture(figure: Mapping[str, Any], drawing: Drawing, language: str) -> Markup:
    """A map: one shape a class."""
    parts = []
    for k, (colour, pattern) in enumerate(map_fills(figure)):
        if not drawing.paths[k]:
            continue
        parts.append(tag("use", href=f"#{figure['id']}-{k}", fill=colour, stroke="#ffffff", stroke_width=8))
        if pattern is not None:
            parts.append(tag("use", href=f"#{figure['id']}-{k}", fill=f"url(#fill-{pattern})"))
    pad = 20
    box = f"{-pad} {-pad} {drawing.width + 2 * pad} {drawing.height + 2 * pad}"
    return tag("svg", *parts, class_="map", viewBox=box, role="img", aria_label=figure["alt"][language])


def swatch(figure: Mapping[str, Any], row: int) -> Markup:
    """Colour and pattern of one class, for the legend."""
    colour, pattern = map_fills(figure)[row]
    parts = [tag("rect", width=400, height=200, fill=colour, stroke="#4a525c", stroke_width=12)]
    if pattern is not None:
        parts.append(tag("rect", width=400, height=200, fill=f"url(#fill-{pattern})"))
    return tag("svg", *parts, class_="swatch", viewBox="0 0 400 200", aria_hidden="true")
