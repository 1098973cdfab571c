"""Figures. Each function draws on the axes that it is given and sets no global style."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font

from sim.files import refuse_figure, whole
from sim.summary import CellSummary, GridSummary, number
from theory.intervals import Crossing

# Okabe and Ito's palette: told apart with every kind of colour vision. Markers differ too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


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


def draw_samples(axes: Axes, cells: Sequence[CellSummary], growth: dict[str, str]) -> None:
    """Samples for success 1 − δ against n, both logarithmic: points with intervals, bounds as bands.

    Args:
        axes: where to draw.
        cells: cells of one k; may be empty, and may lack measurements.
        growth: text for the legend by schedule label.
    """
    labels = list(dict.fromkeys(cell.cell.schedule.label() for cell in cells))
    for index, label in enumerate(labels):
        group = sorted((c for c in cells if c.cell.schedule.label() == label), key=lambda c: c.cell.n)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        _draw_bounds(axes, group, colour)
        text = f"{label}: {growth[label]}" if label in growth else label
        _draw_points(axes, group, colour, marker, text, shift=1 + 0.012 * (index - (len(labels) - 1) / 2))
    finish_axes(axes, sorted({cell.cell.n for cell in cells}), "growth of the samples for 50 %")


def finish_axes(axes: Axes, ticks: Sequence[int], title: str | None) -> None:
    """Logarithmic axes with ticks at the n that are there, and the legend under a title.

    Args:
        axes: with everything drawn on them.
        ticks: the n, increasing; may be empty.
        title: of the legend.
    """
    axes.set_xscale("log")
    axes.set_yscale("log")
    if ticks:
        axes.set_xlim(ticks[0] / 1.15, ticks[-1] * 1.15)
        axes.set_xticks(ticks, [str(n) for n in ticks])
        axes.set_xticks([], minor=True)
    axes.set_xlabel("n")
    axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, framealpha=0.9, title=title, title_fontsize=8)
    else:
        axes.text(
            0.5, 0.5, "this success was not reached", transform=axes.transAxes, ha="center", va="center"
        )


def _draw_bounds(axes: Axes, group: Sequence[CellSummary], colour: str) -> None:
    rows = []
    for cell in group:
        lower = max(
            (number(b["samples"]) for b in cell.theory["bounds"] if b["kind"] == "lower"), default=0.0
        )
        upper = min(
            (number(b["samples"]) for b in cell.theory["bounds"] if b["kind"] == "upper"), default=math.inf
        )
        rows.append((cell.cell.n, lower, upper, number(cell.theory["prediction"]["high"])))
    draw_band(axes, [row[:3] for row in rows], colour)
    line = [row for row in rows if 0 < row[3] < math.inf]
    if line:
        axes.plot([r[0] for r in line], [r[3] for r in line], color=colour, linewidth=1, linestyle="--")


def draw_band(axes: Axes, rows: Sequence[tuple[int, float, float]], colour: str) -> None:
    """The space between bounds, from rows (n, lower, upper); rows that lack one are left out."""
    band = [row for row in rows if row[1] > 0 and math.isfinite(row[2])]
    if band:
        ns, low, high = zip(*band, strict=True)
        axes.fill_between(ns, low, high, color=colour, alpha=0.15, linewidth=0)


def _draw_points(
    axes: Axes, group: Sequence[CellSummary], colour: str, marker: str, text: str, shift: float
) -> None:
    measured = [(c.cell.n, crossing) for c in group if (crossing := c.crossing(c.high)) is not None]
    draw_crossings(axes, measured, colour, marker, text, shift)


def draw_crossings(
    axes: Axes, measured: Sequence[tuple[int, Crossing]], colour: str, marker: str, text: str, shift: float
) -> None:
    """Points (n, samples) with intervals, an arrow where an interval has no upper end; those not reached are left out.

    Args:
        axes: where to draw.
        measured: n with its crossing.
        colour, marker, text: of the points, and for the legend.
        shift: a factor of n, so that schedules stand side by side.
    """
    points, lows, highs, ns, open_ended = [], [], [], [], []
    for n, crossing in measured:
        if crossing.estimate is None:
            continue
        low = crossing.interval.lower if crossing.interval.lower > 0 else crossing.estimate
        high = crossing.interval.upper if math.isfinite(crossing.interval.upper) else crossing.estimate
        ns.append(n * shift)
        points.append(crossing.estimate)
        lows.append(max(0.0, crossing.estimate - low))
        highs.append(max(0.0, high - crossing.estimate))
        open_ended.append(math.isinf(crossing.interval.upper))
    beyond = [i for i, is_open in enumerate(open_ended) if is_open]
    if beyond:  # an arrow where the interval has no upper end
        at, reach = [points[i] for i in beyond], [0.6 * points[i] for i in beyond]
        axes.errorbar([ns[i] for i in beyond], at, yerr=reach, lolims=True, color=colour, linestyle="none")
    if points:
        axes.errorbar(
            ns, points, yerr=(lows, highs), color=colour, marker=marker, markersize=5, linestyle="none",
            capsize=3, linewidth=1.2, label=text,
        )  # fmt: skip


def grid_figure(summary: GridSummary) -> Figure:
    """The figure of a grid: one panel a k."""
    ks = sorted({cell.cell.k for cell in summary.cells})
    columns = max(1, len(ks))
    figure = Figure(figsize=(5.2 * columns, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    for column, k in enumerate(ks):
        axes = figure.add_subplot(1, columns, column + 1)
        growth = {
            g.schedule: f"{g.fit.slope:.3g} per unit of log n" if g.logarithmic else f"n^{g.fit.slope:.2f}"
            for g in summary.growths
            if g.k == k and g.fit.slope is not None
        }
        draw_samples(axes, [cell for cell in summary.cells if cell.cell.k == k], growth)
        axes.set_title(f"k = {k}")
        if column == 0:
            highs = {cell.high for cell in summary.cells}
            axes.set_ylabel(
                f"samples for {highs.pop():.0%} success" if len(highs) == 1 else "samples for success"
            )
    separator = " " if columns > 1 else "\n"
    figure.suptitle(
        f"First step on a k-sparse parity:{separator}measured with 95 % intervals, predicted (dashed), proved (bands)",
        fontsize=10,
    )
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all. The same data give the same bytes.

    Raises:
        SimError: the path does not end in .png or .svg, or cannot be written.
    """
    refuse_figure(path)
    form = path.suffix[1:]
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    # Without a salt every drawing has ids of its own.
    with whole(path, "figure ") as temporary, rc_context({"svg.hashsalt": "sim"}):
        figure.savefig(temporary, format=form, dpi=160, metadata=metadata)
