"""Figures of two-stage students: totals to each loss against n."""

from collections.abc import Sequence
from fractions import Fraction

from matplotlib.axes import Axes

from sim.figures.base import COLOURS, MARKERS, Drawing, Drawn, Panel, panel_axes, plain_text
from sim.figures.samples import Measured, draw_band, draw_crossings, finish_axes
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
