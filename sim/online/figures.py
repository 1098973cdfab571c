"""Whole figures of online training. Each `_figure` function makes one of the drawings of `sim.online.draw` and
`sim.online.heat`, which `save_drawing` writes with its data: one row a plotted point, see `sim.online.marks`.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sim.figures import plain_text, save
from sim.files import whole
from sim.online.draw import (
    draw_choice,
    draw_correlations,
    draw_degrees,
    draw_temperature,
)
from sim.online.heat import Values, draw_width_samples
from sim.online.marks import Row, Series
from sim.probes import Probes
from sim.transition import Peak, Transition


@final
@dataclass(frozen=True)
class Drawing:
    """A figure and the data in it."""

    figure: Figure
    rows: tuple[Row, ...]


def save_drawing(drawing: Drawing, *paths: Path) -> None:
    """Write the figure to each path, and its data beside the first as `.csv`. The same data give the same bytes.

    Raises:
        SimError: a file cannot be written; what was there is left.
    """
    for path in paths:
        save(drawing.figure, path)
    data = paths[0].with_suffix(".csv")
    with whole(data, "data ") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(drawing.rows)


def correlation_figure(
    probes: Probes,
    *,
    title: str = "",
    reading: str = "probability",
    transition: Transition | None = None,
    peak: Peak | None = None,
    batch: int = 1,
) -> Drawing:
    """Correlations against samples: degree 1 above, all degrees below."""
    figure, (top, bottom) = _figure(2, title)
    rows = draw_correlations(top, probes, reading=reading, transition=transition, peak=peak, batch=batch)
    rows += draw_degrees(bottom, probes, reading=reading, transition=transition, batch=batch)
    top.set_xlabel("")
    return Drawing(figure, tuple(dict.fromkeys(rows)))


def choice_figure(
    series: Sequence[Series],
    probes: Probes | None = None,
    *,
    title: str = "",
    reading: str = "probability",
    transition: Transition | None = None,
    peak: Peak | None = None,
    batch: int = 1,
    origin: str | None = None,
) -> Drawing:
    """Final accuracy against the chosen checkpoint, and below it the degree-1 correlations of those there.

    With an origin, in words, checkpoints are counted from there.
    """
    figure, (top, *below) = _figure(1 if probes is None else 2, title)
    rows = draw_choice(top, series, transition=transition, batch=batch, origin=origin)
    if probes is not None:
        rows += draw_correlations(
            below[0], probes, reading=reading, transition=transition, peak=peak, batch=batch
        )
        below[0].set_xlabel(top.get_xlabel())
        top.set_xlabel("")
    chosen = [x * batch for item in series if not item.teacher for x in item.x]
    if chosen and max(chosen) > min(chosen):
        margin = 0.05 * (max(chosen) - min(chosen))
        top.set_xlim(min(chosen) - margin, max(chosen) + margin)
    return Drawing(figure, tuple(dict.fromkeys(rows)))


def temperature_figure(
    accuracies: Sequence[Series],
    samples: Sequence[Series],
    budget: float,
    *,
    title: str = "",
) -> Drawing:
    """Final accuracy and, below it, samples to 90 % against temperature."""
    figure, (top, bottom) = _figure(2, title)
    rows = draw_temperature(top, accuracies)
    rows += draw_temperature(bottom, samples, budget=budget)
    top.set_xlabel("")
    return Drawing(figure, tuple(rows))


def width_samples_figure(
    student_widths: Sequence[int],
    teacher_widths: Sequence[int],
    samples: Values,
    accuracies: Values,
    *,
    title: str = "",
) -> Drawing:
    """The heat map of samples to 90 % over widths; final accuracies where that was not reached."""
    figure, (axes,) = _figure(1, title)
    return Drawing(
        figure, tuple(draw_width_samples(axes, student_widths, teacher_widths, samples, accuracies))
    )


def _figure(panels: int, title: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(8.0, 1.0 + 3.2 * panels), layout="constrained")
    FigureCanvasAgg(figure)
    first = figure.add_subplot(panels, 1, 1)
    if title:
        lines = [plain_text(line, 110) for line in title.split("\n") if line]
        figure.suptitle("\n".join(lines), fontsize=9 if len(lines) > 1 else 10)
    return figure, [first, *(figure.add_subplot(panels, 1, i + 1, sharex=first) for i in range(1, panels))]
