"""Summaries and curves for the tests of figures."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sim.cell import FirstStepCell
from sim.figures import Drawn, Panel, Row
from sim.plan import theory_of
from sim.ranges import record_grid
from sim.schedule import CrossEntropy, OneShot, Progressive, Schedule
from sim.summary import CellSummary, GridSummary
from theory.intervals import SuccessCurve
from theory.walsh import threshold_count

NAN, INF = math.nan, math.inf
HORIZON = 4096
GRID = record_grid(HORIZON, 1)


def axes_of() -> Axes:
    """Axes on a small canvas."""
    figure = Figure(dpi=40)
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def draw(axes: Axes) -> None:
    """Draw what the axes are part of; warnings are errors."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.canvas.draw()


def texts(axes: Axes) -> list[str]:
    """Texts on the axes and in the legend."""
    legend = axes.get_legend()
    return [t.get_text() for t in [*axes.texts, *(legend.get_texts() if legend else [])]]


def curve(starts: Sequence[float], grid: Sequence[int] = GRID) -> SuccessCurve:
    """Students that succeed from so many samples on."""
    return SuccessCurve(np.array(grid), np.array([[start <= B for B in grid] for start in starts]))


def first_step(
    n: int = 9,
    starts: Sequence[float] = (64, 128, 256, 512),
    *,
    k: int = 2,
    schedule: Schedule | None = None,
    theory: dict[str, Any] | None = None,
    **fields: Any,
) -> CellSummary:
    """A cell of which the students succeed from so many samples on."""
    values = {"samples": HORIZON, "resolution": 1, "seed": 0, "q": threshold_count(n, 0)} | fields
    cell = FirstStepCell("first-step/1", n, k, schedule=schedule or CrossEntropy(), **values)
    own = theory_of(cell, 0.1, len(starts))
    grid = record_grid(cell.samples, cell.resolution)
    measured = curve(starts, grid) if starts else None
    return CellSummary(cell, own | (theory or {}), tuple(range(len(starts))), measured, None)


def grid_of(*cells: CellSummary) -> GridSummary:
    return GridSummary(cells, ())


MANY = grid_of(
    *(
        first_step(n, [8 * n, 12 * n, 16 * n], schedule=schedule)
        for schedule in (CrossEntropy(), OneShot(None, "hard"), Progressive("equal", "logits", 0))
        for n in (7, 9, 11)
    )
)
"""Three schedules at three n."""

SUMMARIES = {
    "no cells": grid_of(),
    "one cell": grid_of(first_step()),
    "no replicates": grid_of(first_step(starts=())),
    "some without replicates": grid_of(first_step(7), first_step(9, starts=())),
    "all failed": grid_of(first_step(7, [INF] * 3), first_step(9, [INF] * 3)),
    "all succeeded at once": grid_of(first_step(7, [1] * 3), first_step(9, [0] * 3)),
    "a single replicate": grid_of(first_step(7, [64])),
    "a single failure": grid_of(first_step(7, [INF])),
    "one sample": grid_of(first_step(7, [1, INF], samples=1)),
    "n equals k": grid_of(first_step(3, [1, 1], k=3, samples=1)),
    "no theory": grid_of(
        first_step(theory={"bounds": [], "prediction": {"half": None, "high": None, "plateau": None}})
    ),
    "infinite theory": grid_of(
        first_step(
            theory={
                "bounds": [{"name": "B1'", "kind": "upper", "samples": "inf"}],
                "prediction": {"half": "inf", "high": "inf", "plateau": 0.0},
            }
        )
    ),
    "several seeds and horizons": grid_of(
        first_step(7, seed=1), first_step(7, seed=2), first_step(7, samples=512), first_step(7, q=2)
    ),
    "many": MANY,
}


def drawn_at(axes: Axes) -> set[tuple[float, float]]:
    """Every point that lines and error bars have, rounded."""
    found = set()
    for line in axes.get_lines():
        x, y = (np.atleast_1d(np.asarray(v, dtype=float)) for v in line.get_data())
        found |= {rounded(a, b) for a, b in zip(x, y, strict=True)}
    return found


def rounded(x: float, y: float) -> tuple[float, float]:
    return float(f"{x:.9g}"), float(f"{y:.9g}")


def misplaced(panel: Panel) -> list[Row]:
    """Rows whose place is not one of a drawn point."""
    at = drawn_at(panel.axes)
    return [row for row in panel.rows if (p := panel.place(row)) is not None and rounded(*p) not in at]


def placed(drawn: Drawn) -> list[Row]:
    return [row for row in drawn if drawn.place(row) is not None]
