"""Success against samples: measured rates with intervals, the predicted curve, and what is proved."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, final

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from sim.figures.base import (
    COLOURS,
    GREY,
    MARKERS,
    MAX_PANELS,
    Drawing,
    Drawn,
    Number,
    Panel,
    Place,
    Row,
    head,
    limited,
    panel_axes,
    plain_text,
    say_empty,
)
from sim.figures.settings import settings, spread
from sim.levels import ALPHA_SHOWN
from sim.plan import predicted_success
from sim.summary import CellSummary, GridSummary
from theory.intervals import SuccessCurve
from theory.verdict import Kind

MAX_LINES: Final = 12
"""More cannot be told apart."""

STEP, FINER = 0.04, 3
"""Where a predicted curve changes by more from an octave to the next, it has so many points an octave."""

_STRIP: Final = 1.09
"""Bounds stand above success 1, one line's over the other's."""

Bound = tuple[str, Number]
"""Name, and samples for the probability."""


@final
@dataclass(frozen=True)
class Line:
    """Success of the students of one cell.

    Attributes:
        label: for the legend.
        curve: measured; None without replicates.
        predicted: success at a number of samples; None where nothing is predicted.
        lower: bound of the samples for the panel's probability; None for none.
        upper: likewise.
    """

    label: str
    curve: SuccessCurve | None
    predicted: Callable[[float], float] | None = None
    lower: Bound | None = None
    upper: Bound | None = None


def draw_success(axes: Axes, lines: Sequence[Line], probability: float, *, panel: str = "success") -> Drawn:
    """Success against samples, which are logarithmic: rates with 95 % intervals, predictions dashed; above them, what
    is proved of the samples for a probability.

    Of the points before the first success two are drawn only.

    Args:
        axes: where to draw.
        lines: may be empty, and may lack measurements.
        probability: of which the bounds speak, 0 to 1.
        panel: name of the axes in the data.

    Returns:
        Rates; predictions; bounds, with the probability as y. Those that are not drawn have no place.
    """
    drawn = Drawn()
    left, right = _limits(lines)
    step = min(0.06, 0.4 / max(1, len(lines)))
    height = _STRIP

    def seen(x: float, y: float) -> Place | None:
        return (x, y) if left <= x <= right and math.isfinite(y) else None

    for index, (line, colour) in enumerate(zip(lines, line_colours(len(lines)), strict=True)):
        text = plain_text(line.label, 30)
        if line.curve is not None:
            rows = list(_rates(line.curve, panel, line.label))
            start = _start(line.curve)
            columns = zip(*(row[2:6] for row in rows[start:]), strict=True)
            x, y, low, high = (np.array(column, dtype=np.float64) for column in columns)
            axes.errorbar(
                x, y, yerr=np.maximum([y - low, high - y], 0), color=colour, marker=MARKERS[index % len(MARKERS)],
                markersize=4, linewidth=1.1, elinewidth=0.8, label=text, zorder=2.2,
            )  # fmt: skip
            places = [seen(row.x, float(row.y or 0)) for row in rows[start:]]
            drawn.add(rows, [*[None] * start, *places])
        drawn.take(_draw_predicted(axes, line, colour, left, right, panel))
        bounds = _draw_bounds(axes, line, colour, probability, height, seen, panel)
        drawn.take(bounds)
        height += step if bounds else 0
    _finish(axes, (left, right), max(1.0, height - step) if height > _STRIP else 1.0, probability, drawn)
    return drawn


def line_colours(count: int) -> list[str]:
    """Okabe and Ito's palette; for more lines, whose order is that of n, shades from dark to light."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [to_hex(colormaps["cividis"](0.92 * i / (count - 1))) for i in range(count)]


def _rates(curve: SuccessCurve, panel: str, series: str) -> Iterator[Row]:
    intervals = curve.intervals(ALPHA_SHOWN)
    for x, rate, ends in zip(curve.grid, curve.rates, intervals, strict=True):
        low, high, count = float(ends.lower), float(ends.upper), curve.replicates
        yield Row(panel, series, float(x), float(rate), low, high, used=count, seeds=count)


def _start(curve: SuccessCurve) -> int:
    """The first point that is drawn: two before the first success."""
    better = np.flatnonzero(curve.rates > 0)
    return max(0, int(better[0]) - 2) if len(better) else 0


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """The least and the greatest number of samples that are shown."""
    curves = [line.curve for line in lines if line.curve is not None]
    better = [curve for curve in curves if curve.rates.any()] or curves
    starts = [float(curve.grid[_start(curve)]) for curve in better]
    ends = [float(curve.grid[-1]) for curve in curves]
    bounds = [float(b[1]) for line in lines for b in (line.lower, line.upper) if b is not None]
    bounds = [b for b in bounds if 0 < b < math.inf]
    if not starts:
        starts, ends = bounds or [1.0], bounds or [10.0]
    # Bounds are shown, but do not squeeze the curves.
    left = min([*starts, *(b for b in bounds if b >= 1e-3 * min(starts))])
    right = max([*ends, *(b for b in bounds if b <= 1e3 * max(ends))])
    return left / 1.3, right * 1.3


def _draw_predicted(axes: Axes, line: Line, colour: str, left: float, right: float, panel: str) -> Drawn:
    if line.predicted is None:
        return Drawn()
    if line.curve is not None:
        right = min(right, float(line.curve.grid[-1]))
    points = [(x, y) for x, y in _followed(line.predicted, left, max(left, right)) if math.isfinite(y)]
    if points:
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.3, linestyle="--", alpha=0.8)
    return Drawn(Row(panel, f"{line.label}, predicted", x, y) for x, y in points)


def _followed(curve: Callable[[float], float], left: float, right: float) -> list[tuple[float, float]]:
    """Points of a curve from left to right: one an octave, at powers of 2, and more of them where it rises."""
    inside = range(math.ceil(math.log2(left)), math.floor(math.log2(right)) + 1)
    places = sorted({left, *(2.0**j for j in inside), right})
    points = [(x, curve(x)) for x in places]
    found = points[:1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if not abs(y1 - y0) <= STEP:  # nor where it is no number at one end
            found += [(x, curve(x)) for x in (x0 * (x1 / x0) ** (i / FINER) for i in range(1, FINER))]
        found.append((x1, y1))
    return found


def _draw_bounds(
    axes: Axes,
    line: Line,
    colour: str,
    probability: float,
    height: float,
    seen: Callable[[float, float], Place | None],
    panel: str,
) -> Drawn:
    """What is proved: a mark that points to the right at a lower bound, to the left at an upper one."""
    drawn, ends = Drawn(), []
    for bound, marker, kind in ((line.lower, ">", "lower"), (line.upper, "<", "upper")):
        if bound is None or not 0 < bound[1] < math.inf:
            continue
        name, samples = bound[0], float(bound[1])
        series = (
            f"{line.label}, {kind} bound{f' {name}' if name else ''} of the samples for {probability:.4g}"
        )
        drawn.add([Row(panel, series, samples, probability)], [seen(samples, height)])
        if seen(samples, height):
            ends.append(samples)
            axes.plot(samples, height, color=colour, marker=marker, markersize=5, linestyle="none")
    if len(ends) == 2:
        axes.plot(ends, [height] * 2, color=colour, linewidth=1, alpha=0.6)
    return drawn


def _finish(
    axes: Axes, limits: tuple[float, float], top: float, probability: float, drawn: Sequence[Row]
) -> None:
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.set_ylim(-0.03, top + 0.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.axhline(1, color=GREY, linewidth=0.6)
    axes.axhline(probability, color=GREY, linewidth=0.9, linestyle=":", zorder=0)
    axes.set_xlabel("samples")
    axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
    handles = axes.get_legend_handles_labels()[0]
    if len(handles) > len(COLOURS):  # they would hide the lines
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)
    elif handles:
        axes.legend(fontsize=8, framealpha=0.85, loc="center left")
    if not drawn:
        say_empty(axes)


@final
@dataclass(frozen=True)
class SuccessPanel:
    """A panel of success against samples.

    Attributes:
        name: of the panel.
        probability: of which the bounds speak.
        lines: made when they are drawn; more than `MAX_LINES` are thinned out.
    """

    name: str
    probability: float
    lines: tuple[Callable[[], Line], ...]


def success_drawings(groups: Sequence[tuple[str, Sequence[SuccessPanel]]], what: str) -> Sequence[Drawing]:
    """Figures of at most `MAX_PANELS` panels, those of a group together.

    Args:
        groups: what a group is of, such as `k = 2`, and its panels.
        what: is shown, for the titles.
    """
    figures = []
    for name, panels in groups:
        pages = [panels[i : i + MAX_PANELS] for i in range(0, len(panels), MAX_PANELS)]
        for number, page in enumerate(pages, 1):
            part = f"{name}, part {number} of {len(pages)}" if len(pages) > 1 else name
            figures.append(partial(_figure, part, page, what))
    return limited(figures)


def _figure(name: str, page: Sequence[SuccessPanel], what: str) -> Drawing:
    figure, every = panel_axes(len(page), width=4.8, height=3.8)
    panels, predicted = [], False
    for index, (axes, panel) in enumerate(zip(every, page, strict=True)):
        lines = [line() for line in spread(panel.lines, MAX_LINES)]
        predicted |= any(line.predicted is not None for line in lines)
        panels.append(
            Panel.of(axes, draw_success(axes, lines, panel.probability, panel=f"{name}, {panel.name}"))
        )
        more = f" ({len(lines)} of {len(panel.lines)} lines)" if len(lines) < len(panel.lines) else ""
        axes.set_title(plain_text(panel.name, 50) + more, fontsize=10)
        if index % 3 == 0:
            axes.set_ylabel("success")
    proved = any("bound" in row.series for panel in panels for row in panel.rows)
    head(
        figure,
        f"{what}, {name}: measured with 95 % intervals{', predicted (dashed)' if predicted else ''}"
        + ("\nabove: proved bounds of the samples for the dotted probability" if proved else ""),
    )
    shown = ["measured with 95 % intervals", *["predicted"] * predicted, *["proved"] * proved]
    title = f"{what}, {name}, against samples: {', '.join(shown)}."
    return Drawing(figure, tuple(panels), title, "success")


def step_drawings(summary: GridSummary) -> Sequence[Drawing]:
    """Success of a first step: a figure a k, a panel a schedule, a line an n; none without measurements."""
    groups = []
    for k in sorted({c.cell.k for c in summary.cells}):
        own = settings([c for c in summary.cells if c.cell.k == k])
        panels = [
            SuccessPanel(name, cells[0].high, tuple(partial(_line, cell) for cell in cells))
            for name, cells in own.items()
            if any(cell.curve is not None for cell in cells)
        ]
        if panels:
            groups.append((f"k = {k}", panels))
    return success_drawings(groups, "Success of a first step")


def _line(cell: CellSummary) -> Line:
    lower, upper = (cell.best_bound(kind) for kind in (Kind.LOWER, Kind.UPPER))
    stated = cell.theory["prediction"]["half"] is not None
    predicted = predicted_success(cell.cell, int(cell.theory["replicates"])) if stated else None
    return Line(f"n = {cell.cell.n}", cell.curve, predicted, lower, upper)
