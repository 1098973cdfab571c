"""Figures of two-stage students: totals to each loss, against n and over n and k; success against totals."""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial

from matplotlib.axes import Axes

from sim.figures import grid_heat
from sim.figures.base import COLOURS, MARKERS, Drawing, Drawn, Panel, panel_axes, plain_text
from sim.figures.grid_heat import Shown
from sim.figures.samples import Measured, draw_band, draw_crossings, finish_axes
from sim.figures.settings import settings
from sim.figures.success import Line, SuccessPanel, success_drawings
from sim.two_stage.summary import TwoStageGrid, TwoStageSummary
from theory.verdict import Kind


def draw_totals(
    axes: Axes, cells: Sequence[TwoStageSummary], epsilon: Fraction, *, panel: str = "total"
) -> Drawn:
    """Totals to loss ε with probability 1 − δ against n, both logarithmic: points with intervals, bounds as bands.

    Args:
        axes: where to draw.
        cells: cells of one k; may be empty, and may lack measurements.
        epsilon: ε.
        panel: name of the axes in the data.

    Returns:
        Points, y infinite where the loss was not reached; bounds.
    """
    drawn = Drawn()
    series = list(dict.fromkeys(cell.cell.series for cell in cells))
    for index, name in enumerate(series):
        group = sorted((c for c in cells if c.cell.series == name), key=lambda c: c.cell.n)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        shift = 1 + 0.012 * (index - (len(series) - 1) / 2)
        band = [
            (c.cell.n, c.bound("total", Kind.LOWER, epsilon), c.bound("total", Kind.UPPER, epsilon))
            for c in group
        ]
        drawn.take(draw_band(axes, band, colour, panel=panel, series=f"bounds ({name})"))
        measured = [
            Measured.of(c.cell.n, curve, 1 - c.delta)
            for c in group
            if (curve := c.total_curve(epsilon)) is not None
        ]
        drawn.take(
            draw_crossings(axes, measured, colour, marker, plain_text(name), shift, panel=panel, series=name)
        )
    finish_axes(axes, sorted({c.cell.n for c in cells}), None)
    return drawn


def totals_drawing(summary: TwoStageGrid) -> Drawing:
    """The figure of a grid: a column a k, a row an ε."""
    ks = sorted({cell.cell.k for cell in summary.cells})
    losses = sorted({epsilon for cell in summary.cells for epsilon in cell.losses}, reverse=True)
    figure, every = panel_axes(len(ks) * len(losses), columns=max(1, len(ks)))
    highs = {1 - cell.delta for cell in summary.cells}
    level = f"samples in total{f' for {highs.pop():.0%} of students' if len(highs) == 1 else ''}"
    panels = []
    for axes, (epsilon, k) in zip(every, [(e, k) for e in losses for k in ks], strict=False):
        cells = [cell for cell in summary.cells if cell.cell.k == k and epsilon in cell.losses]
        name = f"k = {k}, to loss {float(epsilon):g}"
        panels.append(Panel.of(axes, draw_totals(axes, cells, epsilon, panel=name)))
        axes.set_title(name, fontsize=10)
        if k == ks[0]:
            axes.set_ylabel(level)
    if not panels:
        draw_totals(every[0], [], Fraction(1))
    separator = " " if len(ks) > 1 else "\n"
    figure.suptitle(
        f"Two stages on a k-sparse parity:{separator}measured with 95 % intervals, proved (bands)",
        fontsize=10,
    )
    return Drawing(
        figure,
        tuple(panels),
        f"Two stages on a k-sparse parity, {level} to each loss against n: measured with 95 % intervals, and proved.",
        "totals",
    )


def success_drawings_of(summary: TwoStageGrid) -> Sequence[Drawing]:
    """Share of students with a loss ≤ ε against totals: a figure a (k, ε), a panel a series, a line an n."""
    groups = []
    for k, epsilon in _each(summary):
        cells = [c for c in summary.cells if c.cell.k == k and epsilon in c.losses]
        panels = [
            SuccessPanel(name, 1 - own[0].delta, tuple(partial(_line, cell, epsilon) for cell in own))
            for name, own in settings(cells).items()
            if any(cell.replicates for cell in own)
        ]
        if panels:
            groups.append((f"k = {k}, to loss {float(epsilon):g}", panels))
    return success_drawings(groups, "Success of two stages")


def _each(summary: TwoStageGrid) -> list[tuple[int, Fraction]]:
    """The k and ε that there are, ε decreasing."""
    pairs = {(cell.cell.k, epsilon) for cell in summary.cells for epsilon in cell.losses}
    return sorted(pairs, key=lambda pair: (pair[0], -pair[1]))


def _line(cell: TwoStageSummary, epsilon: Fraction) -> Line:
    lower, upper = (cell.bound("total", kind, epsilon) for kind in (Kind.LOWER, Kind.UPPER))
    return Line(f"n = {cell.cell.n}", cell.total_curve(epsilon), None, ("", lower), ("", upper))


def heat_drawings(summary: TwoStageGrid) -> Sequence[Drawing]:
    """Totals to each loss over n and k: a figure an ε, a panel a series; none without measurements."""
    highs = {1 - cell.delta for cell in summary.cells}
    level = f"for {100 * highs.pop():g} % of students" if len(highs) == 1 else "for 1 − δ of students"
    figures = []
    for epsilon in sorted({epsilon for _, epsilon in _each(summary)}, reverse=True):
        own = settings([cell for cell in summary.cells if epsilon in cell.losses])
        panels = {
            name: {(c.cell.n, c.cell.k): _shown(c, epsilon) for c in cells} for name, cells in own.items()
        }
        figures.append((f"to loss {float(epsilon):g}", panels))
    return grid_heat.heat_drawings(figures, f"samples in total {level}")


def _shown(cell: TwoStageSummary, epsilon: Fraction) -> Shown:
    curve = cell.total_curve(epsilon)
    measured = None if curve is None else Measured.of(cell.cell.n, curve, 1 - cell.delta)
    return Shown(measured, cell.cell.totals[-1])
