"""What all figures have in common: colours and text, rows of their data, panels, and their files.

Functions named `draw_…` draw on the axes that they are given, set no global style, and return the rows of what they
drew, which know where on the axes they stand. A row is a plotted point, or a part of a band:

| column | meaning |
|---|---|
| panel | which axes |
| series | which line or band, as labelled |
| x | n, samples, steps, temperature (0: hard labels) or student width |
| y | an estimate, rate, mean or median; inf: not reached; empty for none, as of bands |
| low, high | interval, band or bar around y; inf for no upper end |
| x_low, x_high | interval of x, of crossings and peaks |
| used | replicates or seeds in y |
| seeds | replicates or seeds that there are |
"""

import csv
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, final, overload

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.layout_engine import PlaceHolderLayoutEngine

from sim.files import refuse_figure, whole

# Okabe and Ito's palette: told apart with every kind of colour vision. Markers differ too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY: Final = "#777777"

MAX_FIGURES: Final = 12
"""No more are drawn of a kind."""

MAX_PANELS: Final = 6
"""No more are in one figure; further ones are in further figures."""

COLUMNS: Final = 3
"""Panels side by side at the most."""

Number = int | float

Place = tuple[float, float]
"""Data coordinates on some axes."""


class Row(NamedTuple):
    """A row of the data file."""

    panel: str
    series: str
    x: float
    y: float | None = None
    low: float | None = None
    high: float | None = None
    x_low: float | None = None
    x_high: float | None = None
    used: int | None = None
    seeds: int | None = None


HEADER: Final = ",".join(Row._fields)
"""First line of every data file."""


@final
class Drawn(list[Row]):
    """Rows of what was drawn, in order, each with its place on the axes: (x, y) where no other is given."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        super().__init__(rows)
        self._places: dict[Row, Place | None] = {}

    def add(self, rows: Iterable[Row], places: Iterable[tuple[Number, Number] | None]) -> None:
        """Append rows that stand elsewhere than at their (x, y); None for one that can be pointed at nowhere."""
        for row, place in zip(rows, places, strict=True):
            self.append(row)
            self._places[row] = None if place is None else (float(place[0]), float(place[1]))

    def take(self, other: Sequence[Row]) -> None:
        """Append what another function drew on the same axes."""
        self.extend(other)
        if isinstance(other, Drawn):
            self._places |= other._places

    def place(self, row: Row) -> Place | None:
        """Where a row is drawn, in data coordinates; None where it can be pointed at nowhere."""
        if row in self._places:
            return self._places[row]
        return (float(row.x), float(row.y)) if row.y is not None and math.isfinite(row.x + row.y) else None


@final
@dataclass(frozen=True)
class Panel:
    """One of a figure's axes and what is on it.

    Attributes:
        axes: where it is drawn.
        rows: of what is drawn there.
        place: where a row is drawn, in data coordinates of the axes: (x, y), or where it is moved aside, is a tick of
            its own, a mark at the budget or a field of a heat map; None for a row that can be pointed at nowhere.
        across: what x is.
        up: what y is; None: as the axes say; empty: as the last part of each row's panel says.
    """

    axes: Axes
    rows: tuple[Row, ...]
    place: Callable[[Row], Place | None]
    across: str = ""
    up: str | None = None

    @staticmethod
    def of(axes: Axes, drawn: Drawn, up: str | None = None) -> "Panel":
        """The panel of axes on which that was drawn, x as their label says now: of stacked axes only one keeps it."""
        return Panel(axes, tuple(drawn), drawn.place, axes.get_xlabel(), up)

    def words(self, row: Row) -> tuple[str, str]:
        """What x and y of a row are."""
        across, up = (
            self.across or self.axes.get_xlabel(),
            self.axes.get_ylabel() if self.up is None else self.up,
        )
        return across or "x", up or row.panel.rpartition(", ")[2]


@final
@dataclass(frozen=True)
class Drawing:
    """A figure and the data in it.

    Attributes:
        figure: the figure.
        panels: in order; without colour scales.
        title: one plain sentence that says what is shown.
        kind: the kind of figure, such as `samples`.
        left_out: further figures of the kind that there would be.
    """

    figure: Figure
    panels: tuple[Panel, ...]
    title: str
    kind: str
    left_out: int = 0

    @property
    def rows(self) -> tuple[Row, ...]:
        """Of all panels, in order, each once."""
        return tuple(dict.fromkeys(row for panel in self.panels for row in panel.rows))


@final
class Drawings(Sequence[Drawing]):
    """Figures of one kind, each drawn when it is asked for: the first `MAX_FIGURES`, whose titles say how many are left
    out.
    """

    def __init__(self, drawings: Sequence[Callable[[], Drawing]]) -> None:
        self._drawings = drawings
        self._drawn: dict[int, Drawing] = {}

    def __len__(self) -> int:
        return min(len(self._drawings), MAX_FIGURES)

    @overload
    def __getitem__(self, index: int) -> Drawing: ...

    @overload
    def __getitem__(self, index: slice) -> list[Drawing]: ...

    def __getitem__(self, index: int | slice) -> Drawing | list[Drawing]:
        if isinstance(index, slice):
            return [self._one(i) for i in range(len(self))[index]]
        return self._one(range(len(self))[index])

    def _one(self, index: int) -> Drawing:
        if index not in self._drawn:
            drawing, left_out = self._drawings[index](), len(self._drawings) - len(self)
            if left_out:
                text = f" {len(self)} of {len(self._drawings)} such figures are drawn."
                drawing = replace(drawing, title=drawing.title + text, left_out=left_out)
            self._drawn[index] = drawing
        return self._drawn[index]


def limited(drawings: Sequence[Callable[[], Drawing]]) -> Sequence[Drawing]:
    """The figures of a kind; none of none."""
    return Drawings(drawings) if drawings else []


def plain_text(text: str, length: int = 60) -> str:
    """Any text as one line that is drawn as it is: no formulas, no glyphs that the font lacks, not hidden, not long."""
    known = _glyphs()
    line = " ".join(
        "".join(c if c.isprintable() and ord(c) in known else " ?"[c.isprintable()] for c in text).split()
    )
    if len(line) > length:
        line = line[: length - 1] + "…"
    # A legend leaves out labels that begin with an underscore.
    return (" " + line if line.startswith("_") else line).replace("$", r"\$") or "(no name)"


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(FT2Font(findfont(FontProperties())).get_charmap())


def sentence(what: str, where: str) -> str:
    """A plain sentence: what is shown, and of what, whose lines become clauses."""
    clauses = "; ".join(" ".join(line.split()) for line in where.split("\n") if line.split())
    return f"{what}: {clauses}." if clauses else f"{what}."


def empty_figure(width: float, height: float) -> Figure:
    """A figure, in inches, without pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_axes(
    count: int, width: float = 5.2, height: float = 4.0, columns: int = COLUMNS
) -> tuple[Figure, list[Axes]]:
    """A figure with some axes, at least one, row by row.

    Args:
        count: how many.
        width: of each, in inches.
        height: of each, in inches.
        columns: side by side at the most.
    """
    count = max(1, count)
    columns = min(count, columns)
    rows = -(-count // columns)
    figure = empty_figure(width * columns, 0.6 + height * rows)
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def head(figure: Figure, text: str) -> None:
    """The title above all panels, in lines as long as the figure is wide; line breaks stay."""
    width = int(13 * figure.get_figwidth())
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, width)]
    figure.suptitle("\n".join(lines), fontsize=10)


def say_empty(axes: Axes, text: str = "no data") -> None:
    """Remark that there is no data, or why."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def settle(figure: Figure) -> None:
    """Lay a figure out, once: each further drawing would move the axes by a little, and change the bytes of files."""
    engine = figure.get_layout_engine()
    if engine is not None and not isinstance(engine, PlaceHolderLayoutEngine):
        engine.execute(figure)
        figure.set_layout_engine("none")


def save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all. The same data give the same bytes, whatever was written before.

    Raises:
        SimError: the path does not end in .png or .svg, or cannot be written.
    """
    refuse_figure(path)
    form = path.suffix[1:]
    settle(figure)
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    # Without a salt every drawing has ids of its own.
    with whole(path, "figure ") as temporary, rc_context({"svg.hashsalt": "sim"}):
        figure.savefig(temporary, format=form, dpi=160, metadata=metadata)


def save_drawing(drawing: Drawing, *paths: Path, data: Path | None = None) -> None:
    """Write the figure to each path, and its data. The same data give the same bytes.

    Args:
        drawing: the figure and its rows.
        *paths: PNG or SVG files.
        data: CSV file; None for one beside the first path, under the same name.

    Raises:
        SimError: a file cannot be written; what was there is left.
    """
    for path in paths:
        save(drawing.figure, path)
    save_data(drawing, paths[0].with_suffix(".csv") if data is None else data)


def save_data(drawing: Drawing, path: Path) -> None:
    """Write the data of a figure as CSV, with `HEADER`.

    Raises:
        SimError: the file cannot be written; what was there is left.
    """
    with whole(path, "data ") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(drawing.rows)
