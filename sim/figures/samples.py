"""Samples against n: points with intervals, predictions as dashed lines, what is proved as bands."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes

from sim.figures.base import (
    COLOURS,
    MARKERS,
    Drawing,
    Drawn,
    Number,
    Panel,
    Row,
    panel_axes,
    plain_text,
    say_empty,
)
from sim.levels import ALPHA_SHOWN
from sim.summary import CellSummary, GridSummary, number
from theory.intervals import Crossing, SuccessCurve
from theory.verdict import Kind

NOT_REACHED = "this success was not reached"


@final
@dataclass(frozen=True)
class Measured:
    """Where the success of some students reaches a probability.

    Attributes:
        n: the dimension.
        crossing: the samples, with interval.
        replicates: students.
        at_once: whether it is reached at the least number of samples already, so that there is no estimate.
    """

    n: int
    crossing: Crossing
    replicates: int
    at_once: bool = False

    @staticmethod
    def of(n: int, curve: SuccessCurve, probability: float) -> "Measured":
        """Where a curve reaches a probability, 0 to 1."""
        # The isotonic fit is that high from its start iff no sum of its first excesses is negative.
        at_once = bool((np.cumsum(curve.rates - probability) >= -1e-9).all())
        return Measured(n, curve.crossing(probability, ALPHA_SHOWN), curve.replicates, at_once)

    @property
    def samples(self) -> float | None:
        """The estimate; infinite where the probability is not reached on the grid, None where it is at once."""
        if self.crossing.estimate is not None:
            return self.crossing.estimate
        return None if self.at_once else math.inf

    def row(self, panel: str, series: str, x: Number) -> Row:
        """Its row, with the interval."""
        ends = self.crossing.interval
        return Row(
            panel, series, x, self.samples, float(ends.lower), float(ends.upper),
            used=self.replicates, seeds=self.replicates,
        )  # fmt: skip


def draw_samples(
    axes: Axes, cells: Sequence[CellSummary], growth: Mapping[str, str], *, panel: str = "samples"
) -> Drawn:
    """Samples for success 1 − δ against n, both logarithmic: points with intervals, bounds as bands.

    Args:
        axes: where to draw.
        cells: cells of one k; may be empty, and may lack measurements.
        growth: text for the legend by schedule label.
        panel: name of the axes in the data.

    Returns:
        Points, y infinite where the success was not reached; predictions; bounds.
    """
    drawn = Drawn()
    labels = list(dict.fromkeys(cell.cell.schedule.label() for cell in cells))
    for index, label in enumerate(labels):
        group = sorted((c for c in cells if c.cell.schedule.label() == label), key=lambda c: c.cell.n)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        drawn.take(_draw_bounds(axes, group, colour, panel, label))
        text = plain_text(label) + (f": {growth[label]}" if label in growth else "")
        measured = [Measured.of(c.cell.n, c.curve, c.high) for c in group if c.curve is not None]
        shift = 1 + 0.012 * (index - (len(labels) - 1) / 2)
        drawn.take(draw_crossings(axes, measured, colour, marker, text, shift, panel=panel, series=label))
    finish_axes(axes, sorted({cell.cell.n for cell in cells}), "growth of the samples for 50 %")
    return drawn


def finish_axes(axes: Axes, ticks: Sequence[int], title: str | None) -> None:
    """Logarithmic axes with ticks at the n that are there, as far as they have room, and the legend under a title.

    Args:
        axes: with everything drawn on them.
        ticks: the n, increasing; may be empty.
        title: of the legend.
    """
    axes.set_xscale("log")
    axes.set_yscale("log")
    if ticks:
        axes.set_xlim(ticks[0] / 1.15, ticks[-1] * 1.15)
        shown = legible(ticks)
        axes.set_xticks(shown, [str(n) for n in shown])
        axes.set_xticks([], minor=True)
    axes.set_xlabel("n")
    axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, framealpha=0.9, title=title, title_fontsize=8)
    else:
        say_empty(axes, NOT_REACHED)


def legible(ticks: Sequence[int]) -> list[int]:
    """Those of the n, increasing, whose labels have room on a logarithmic axis; the first and the last among them."""
    least = 0.065 * math.log(ticks[-1] / ticks[0])
    kept = [ticks[0]]
    for n in ticks[1:-1]:
        if math.log(n / kept[-1]) >= least <= math.log(ticks[-1] / n):
            kept.append(n)
    return [*kept, *ticks[-1:]] if len(ticks) > 1 else kept


def _draw_bounds(axes: Axes, group: Sequence[CellSummary], colour: str, panel: str, label: str) -> Drawn:
    drawn = Drawn()
    lower = {c.cell.n: c.best_bound(Kind.LOWER) for c in group}
    upper = {c.cell.n: c.best_bound(Kind.UPPER) for c in group}
    names = [
        "/".join(dict.fromkeys(name for name, _ in side.values() if name)) or "no" for side in (upper, lower)
    ]
    band = [(c.cell.n, lower[c.cell.n][1], upper[c.cell.n][1]) for c in group]
    drawn.take(
        draw_band(axes, band, colour, panel=panel, series=f"{names[0]} and {names[1]} bounds ({label})")
    )
    line = [(c.cell.n, number(c.theory["prediction"]["high"])) for c in group]
    line = [point for point in line if 0 < point[1] < math.inf]
    if line:
        axes.plot(*zip(*line, strict=True), color=colour, linewidth=1, linestyle="--")
    drawn.take([Row(panel, f"{label}, predicted", n, samples) for n, samples in line])
    return drawn


def draw_band(
    axes: Axes, band: Sequence[tuple[int, Number, Number]], colour: str, *, panel: str, series: str
) -> Drawn:
    """The space between bounds, from (n, lower, upper); where one of them is lacking there is no band.

    Args:
        axes: where to draw.
        band: n increasing; lower 0 and upper infinite where there is none.
        colour: of the band.
        panel, series: of the rows.
    """
    shown = [row for row in band if row[1] > 0 and math.isfinite(row[2])]
    if shown:
        ns, low, high = zip(*shown, strict=True)
        axes.fill_between(ns, low, high, color=colour, alpha=0.15, linewidth=0)
    drawn = Drawn()
    rows = [
        Row(panel, series, n, low=low if low > 0 else None, high=high)
        for n, low, high in band
        if low > 0 or math.isfinite(high)
    ]
    drawn.add(rows, [None] * len(rows))
    return drawn


def draw_crossings(
    axes: Axes,
    measured: Sequence[Measured],
    colour: str,
    marker: str,
    text: str,
    shift: Number,
    *,
    panel: str,
    series: str,
) -> Drawn:
    """Points (n, samples) with intervals, an arrow where an interval has no upper end; those not reached are left out.

    Args:
        axes: where to draw.
        measured: by n.
        colour, marker, text: of the points, and for the legend.
        shift: a factor of n, so that schedules stand side by side.
        panel, series: of the rows.

    Returns:
        A row for each; y is infinite, and without a place, where the probability was not reached inside the grid.
    """
    points, lows, highs, ns, open_ended = [], [], [], [], []
    drawn = Drawn()
    for one in measured:
        crossing = one.crossing
        estimate, ends = crossing.estimate, crossing.interval
        place = None if estimate is None else (one.n * shift, estimate)
        drawn.add([one.row(panel, series, one.n)], [place])
        if estimate is None:
            continue
        low = ends.lower if ends.lower > 0 else estimate
        high = ends.upper if math.isfinite(ends.upper) else estimate
        ns.append(one.n * shift)
        points.append(estimate)
        lows.append(max(0.0, estimate - low))
        highs.append(max(0.0, high - estimate))
        open_ended.append(math.isinf(ends.upper))
    beyond = [i for i, is_open in enumerate(open_ended) if is_open]
    if beyond:  # an arrow where the interval has no upper end
        at, reach = [points[i] for i in beyond], [0.6 * points[i] for i in beyond]
        axes.errorbar([ns[i] for i in beyond], at, yerr=reach, lolims=True, color=colour, linestyle="none")
    if points:
        axes.errorbar(
            ns, points, yerr=(lows, highs), color=colour, marker=marker, markersize=5, linestyle="none",
            capsize=3, linewidth=1.2, label=text,
        )  # fmt: skip
    return drawn


def samples_drawing(summary: GridSummary) -> Drawing:
    """The figure of a grid: one panel a k."""
    ks = sorted({cell.cell.k for cell in summary.cells})
    figure, every = panel_axes(len(ks), height=4.0)
    highs = {cell.high for cell in summary.cells}
    level = f"samples for {highs.pop():.0%} success" if len(highs) == 1 else "samples for success"
    panels = []
    for index, (axes, k) in enumerate(zip(every, ks, strict=False)):
        growth = {
            g.schedule: f"{g.fit.slope:.3g} per unit of log n" if g.logarithmic else f"n^{g.fit.slope:.2f}"
            for g in summary.growths
            if g.k == k and g.fit.slope is not None
        }
        own = [cell for cell in summary.cells if cell.cell.k == k]
        drawn = draw_samples(axes, own, growth, panel=f"k = {k}")
        axes.set_title(f"k = {k}")
        if index == 0:
            axes.set_ylabel(level)
        panels.append(Panel.of(axes, drawn))
    if not ks:
        draw_samples(every[0], [], {})
    separator = " " if len(ks) > 1 else "\n"
    figure.suptitle(
        f"First step on a k-sparse parity:{separator}measured with 95 % intervals, predicted (dashed), proved (bands)",
        fontsize=10,
    )
    return Drawing(
        figure,
        tuple(panels),
        f"First step on a k-sparse parity, {level} against n, a panel for each k: measured with 95 % intervals, "
        "predicted and proved.",
        "samples",
    )
