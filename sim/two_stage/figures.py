"""The figure of two-stage students: totals to each loss against n."""

from collections.abc import Sequence
from fractions import Fraction

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sim.figures import COLOURS, MARKERS, draw_band, draw_crossings, finish_axes
from sim.two_stage.summary import TwoStageGrid, TwoStageSummary
from theory.verdict import Kind


def draw_totals(axes: Axes, cells: Sequence[TwoStageSummary], epsilon: Fraction) -> None:
    """Totals to loss ε with probability 1 − δ against n, both logarithmic: points with intervals, bounds as bands.

    Args:
        axes: where to draw.
        cells: cells of one k; may be empty, and may lack measurements.
        epsilon: ε.
    """
    series = list(dict.fromkeys(cell.cell.series for cell in cells))
    for index, name in enumerate(series):
        group = sorted((c for c in cells if c.cell.series == name), key=lambda c: c.cell.n)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        shift = 1 + 0.012 * (index - (len(series) - 1) / 2)
        draw_band(
            axes,
            [
                (c.cell.n, c.bound("total", Kind.LOWER, epsilon), c.bound("total", Kind.UPPER, epsilon))
                for c in group
            ],
            colour,
        )
        measured = [(c.cell.n, crossing) for c in group if (crossing := c.total(epsilon)) is not None]
        draw_crossings(axes, measured, colour, marker, name, shift)
    finish_axes(axes, sorted({c.cell.n for c in cells}), None)


def totals_figure(summary: TwoStageGrid) -> Figure:
    """The figure of a grid: a column a k, a row an ε."""
    ks = sorted({cell.cell.k for cell in summary.cells})
    losses = sorted({epsilon for cell in summary.cells for epsilon in cell.losses}, reverse=True)
    rows, columns = max(1, len(losses)), max(1, len(ks))
    figure = Figure(figsize=(5.2 * columns, 0.6 + 4.0 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for row, epsilon in enumerate(losses):
        for column, k in enumerate(ks):
            axes = figure.add_subplot(rows, columns, row * columns + column + 1)
            cells = [cell for cell in summary.cells if cell.cell.k == k and epsilon in cell.losses]
            draw_totals(axes, cells, epsilon)
            axes.set_title(f"k = {k}, to loss {float(epsilon):g}", fontsize=10)
            if column == 0:
                highs = {1 - cell.delta for cell in summary.cells}
                level = f" for {highs.pop():.0%} of students" if len(highs) == 1 else ""
                axes.set_ylabel(f"samples in total{level}")
    separator = " " if columns > 1 else "\n"
    figure.suptitle(
        f"Two stages on a k-sparse parity:{separator}measured with 95 % intervals, proved (bands)",
        fontsize=10,
    )
    return figure
