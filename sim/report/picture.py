"""Figures inside the page: SVG in the page's colours, with a place for each plotted point that tells its value.

The drawing is matplotlib's, the same that `python -m sim.grid plot` writes. Black becomes the colour of the text
around, white that of the page; names inside it get a prefix, so that several figures can stand on one page.
"""

import base64
import csv
import io
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG

from sim.figures import Drawing, Panel, Row
from sim.figures.base import settle
from sim.figures.settings import spread
from sim.numbers import si
from sim.report.table import Column, Table, Value
from sim.report.table import Row as TableRow

POINTS_A_SERIES: Final = 60
POINTS_A_FIGURE: Final = 600
"""So many can be pointed at; of longer lines evenly spaced ones."""

DATA_ROWS: Final = 100
"""Rows of a figure's table."""

CSV_ROWS: Final = 2000
"""Rows of a figure's CSV, at most 300 kB: a page is to be mailed."""

DENSE: Final = 400
"""Of a figure with more rows lines and points are pixels: as vectors they would be a megabyte."""

RASTER_DPI: Final = 110

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_FONTS = re.compile(r"('DejaVu Sans'|\"DejaVu Sans\").*?sans-serif")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_DATA_COLUMNS: Final = tuple(Column(name, name not in ("panel", "series")) for name in Row._fields)


@final
@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
        anchor: its id.
        title: what it shows, in a sentence.
        svg: the element, as text.
        data: the plotted values, as many as are shown.
        csv: `in_csv` of them, as the address of a file.
        in_csv: how many there are but for a very large figure.
        points: how many can be pointed at.
    """

    anchor: str
    title: str
    svg: str
    data: Table
    csv: str
    in_csv: int
    points: int


def picture(drawing: Drawing, anchor: str) -> Picture:
    """The figure as it stands in the page.

    Args:
        drawing: what was drawn, with its data.
        anchor: an id that no other figure of the page has.
    """
    root = _drawn(drawing)
    _renamed(root, anchor)
    _recoloured(root)
    hits = _hits(drawing)
    group = ET.SubElement(root, f"{{{_SVG}}}g", {"class": "hits"})
    for x, y, words in hits:
        circle = ET.SubElement(group, f"{{{_SVG}}}circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "6"})
        ET.SubElement(circle, f"{{{_SVG}}}title").text = words
    root.set("role", "img")
    root.set("aria-label", drawing.title)
    rows = drawing.rows
    return Picture(
        anchor,
        drawing.title,
        _text(root),
        Table(
            f"{anchor}-data",
            f"Data of the figure: {drawing.title}",
            _DATA_COLUMNS,
            tuple(TableRow(tuple(map(_value, row))) for row in rows[:DATA_ROWS]),
            max(0, len(rows) - DATA_ROWS),
        ),
        _csv(rows[:CSV_ROWS]),
        min(len(rows), CSV_ROWS),
        len(hits),
    )


def _drawn(drawing: Drawing) -> ET.Element:
    file = io.StringIO()
    if len(drawing.rows) > DENSE:
        for axes in (panel.axes for panel in drawing.panels):
            for artist in (*axes.lines, *axes.collections, *axes.patches):
                artist.set_rasterized(True)
    settle(drawing.figure)
    drawing.figure.set_dpi(RASTER_DPI)
    # Without a salt every drawing has ids of its own; text stays text, so that it can be read, found and copied.
    with rc_context({"svg.hashsalt": "sim", "svg.fonttype": "none"}):
        # Not `savefig`, which lays out, and so draws, once more.
        FigureCanvasSVG(drawing.figure).print_svg(file, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return ET.fromstring(file.getvalue())


def _renamed(root: ET.Element, prefix: str) -> None:
    """Ids and references to them, with a prefix; what a page does not need is left out."""
    for name in ("metadata", "defs"):
        for child in root.findall(f"{{{_SVG}}}{name}"):
            if name == "metadata" or child.find(f"{{{_SVG}}}style") is not None:
                root.remove(child)
    used = set(_REFERENCE.findall(" ".join(v for e in root.iter() for v in e.attrib.values())))
    used |= {e.attrib[_HREF][1:] for e in root.iter() if e.attrib.get(_HREF, "").startswith("#")}
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id" and value not in used:
                del element.attrib[key]
            elif key == "id":
                element.set(key, f"{prefix}-{value}")
            elif key == _HREF and value.startswith("#"):
                del element.attrib[key]
                element.set("href", f"#{prefix}-{value[1:]}")
            elif key == _HREF:
                del element.attrib[key]
                element.set("href", value)
            elif key in ("style", "clip-path"):
                element.set(key, _REFERENCE.sub(rf"url(#{prefix}-\1)", value))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    # Not wider than text of about the page's size makes it.
    width = float(root.attrib["viewBox"].split()[2])
    root.set("style", f"max-width: {1.5 * width:.0f}px")


def _recoloured(root: ET.Element) -> None:
    for element in root.iter():
        style = element.get("style")
        if style:
            style = style.replace("#000000", "currentColor").replace("fill: #ffffff", "fill: var(--page)")
            element.set("style", _FONTS.sub("var(--sans)", style))
        for key in ("d", "x", "y", "transform"):
            value = element.get(key)
            if value:
                element.set(key, _NUMBER.sub(lambda found: f"{float(found[0]):.2f}", value))


def _hits(drawing: Drawing) -> list[tuple[float, float, str]]:
    """Place in the SVG, and words, of the points that can be pointed at."""
    found = []
    for panel in drawing.panels:
        by_series: dict[str, list[Row]] = {}
        for row in panel.rows:
            by_series.setdefault(row.series, []).append(row)
        for rows in by_series.values():
            found += list(_places(panel, spread(rows, POINTS_A_SERIES)))
    return spread(found, POINTS_A_FIGURE)


def _places(panel: Panel, rows: Sequence[Row]) -> Iterator[tuple[float, float, str]]:
    axes, figure = panel.axes, panel.axes.figure
    scale = 72 / figure.dpi  # SVG of matplotlib has 72 dots an inch
    height = figure.bbox.height * scale
    box = axes.bbox
    for row in rows:
        place = panel.place(row)
        if place is None or not all(map(math.isfinite, place)):
            continue
        x, y = axes.transData.transform(place)
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        if box.x0 - 1 <= x <= box.x1 + 1 and box.y0 - 1 <= y <= box.y1 + 1:
            yield x * scale, height - y * scale, _words(panel, row)


def _words(panel: Panel, row: Row) -> str:
    """For example `progressive: n = 50, samples for 90 % success: 96 [83, 112]`."""
    across, up = (name.replace("\\$", "$") for name in panel.words(row))
    x = "hard labels" if across == "temperature" and row.x == 0 else f"{across} = {si(row.x)}"
    value = "-" if row.y is None else si(row.y)
    ends = "" if row.low is None or row.high is None else f" [{si(row.low)}, {si(row.high)}]"
    seeds = "" if row.used is None or row.seeds is None else f", {row.used} of {row.seeds}"
    return f"{row.series}: {x}, {up}: {value}{ends}{seeds}"


def _value(value: str | int | float | None) -> Value:
    match value:
        case None:
            return Value("")
        case str():
            return Value(value, value)
        case _:
            return Value(si(value), float(value))


def _csv(rows: Sequence[Row]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)
    return "data:text/csv;base64," + base64.b64encode(file.getvalue().encode()).decode()


def _text(root: ET.Element) -> str:
    """The element as HTML reads it: without prefixes of names."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    return ET.tostring(root, encoding="unicode")
