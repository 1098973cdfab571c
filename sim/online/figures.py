"""Whole figures of online training. Each `_figure` function makes one of the drawings of `sim.online.draw` and
`sim.online.heat`, which `sim.figures.base.save_drawing` writes with its data.
"""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.figures.base import (
    COLUMNS,
    Drawing,
    Panel,
    empty_figure,
    head,
    panel_axes,
    plain_text,
    sentence,
)
from sim.figures.heat import log_norm
from sim.online.draw import (
    draw_choice,
    draw_correlations,
    draw_degrees,
    draw_temperature,
)
from sim.online.heat import Values, draw_temperature_samples, draw_width_samples
from sim.online.marks import Series
from sim.online.summary import Median
from sim.probes import Probes
from sim.transition import Peak, Transition


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
    panels = (
        Panel.of(
            top,
            draw_correlations(top, probes, reading=reading, transition=transition, peak=peak, batch=batch),
        ),
        Panel.of(bottom, draw_degrees(bottom, probes, reading=reading, transition=transition, batch=batch)),
    )
    top.set_xlabel("")
    text = sentence("Correlations with monomials against the teacher's samples", title)
    return Drawing(figure, panels, text, "correlations")


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
    panels = [Panel.of(top, draw_choice(top, series, transition=transition, batch=batch, origin=origin))]
    if probes is not None:
        drawn = draw_correlations(
            below[0], probes, reading=reading, transition=transition, peak=peak, batch=batch
        )
        panels.append(Panel.of(below[0], drawn))
        below[0].set_xlabel(top.get_xlabel())
        top.set_xlabel("")
    chosen = [x * batch for item in series if not item.teacher for x in item.x]
    if chosen and max(chosen) > min(chosen):
        margin = 0.05 * (max(chosen) - min(chosen))
        top.set_xlim(min(chosen) - margin, max(chosen) + margin)
    text = sentence("Final accuracy of students against the chosen checkpoint", title)
    return Drawing(figure, tuple(panels), text, "choice")


def temperature_figure(
    accuracies: Sequence[Series],
    samples: Sequence[Series],
    budget: float,
    *,
    title: str = "",
) -> Drawing:
    """Final accuracy and, below it, samples to 90 % against temperature."""
    figure, (top, bottom) = _figure(2, title)
    panels = (
        Panel.of(top, draw_temperature(top, accuracies)),
        Panel.of(bottom, draw_temperature(bottom, samples, budget=budget)),
    )
    top.set_xlabel("")
    text = sentence("Final accuracy and samples to 90 % against temperature", title)
    return Drawing(figure, panels, text, "temperature")


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
    drawn = draw_width_samples(axes, student_widths, teacher_widths, samples, accuracies)
    text = sentence("Samples to 90 % over the widths of student and teacher", title)
    return Drawing(figure, (Panel.of(axes, drawn, ""),), text, "widths")


def temperature_heat_figure(
    panels: Mapping[str, tuple[Sequence[int], Sequence[float], Values, Values]], *, title: str = ""
) -> Drawing:
    """Heat maps of samples to 90 % over student width and temperature, on one colour scale.

    Args:
        panels: by schedule: student widths, temperatures, samples and final accuracies, as `draw_results` wants them.
        title: of the figure.
    """
    widest = max((len(widths) for widths, *_ in panels.values()), default=1)
    most = max((len(temperatures) for _, temperatures, *_ in panels.values()), default=1)
    width = min(14.0, max(5.0, 1.8 + 1.15 * widest))
    columns = max(1, min(COLUMNS, int(16 // width)))
    figure, every = panel_axes(
        len(panels), width=width, height=min(9.0, 1.3 + 0.6 * max(2, most)), columns=columns
    )
    medians = [
        middle.value
        for _, _, samples, _ in panels.values()
        for row in samples
        for there in row
        if (middle := Median.of([value for value in there if not math.isnan(value)])) is not None
    ]
    norm = log_norm(medians)
    drawn = []
    for axes, (name, (widths, temperatures, samples, accuracies)) in zip(every, panels.items(), strict=False):
        own = draw_temperature_samples(axes, widths, temperatures, samples, accuracies, panel=name, norm=norm)
        axes.set_title(plain_text(name, 50), fontsize=9)
        drawn.append(Panel.of(axes, own, ""))
    lines = [plain_text(line, 200) for line in f"Samples to 90 %: {title}".split("\n") if line]
    head(figure, "\n".join(lines))
    text = sentence("Samples to 90 % over student width and temperature", title)
    return Drawing(figure, tuple(drawn), text, "heat")


def _figure(panels: int, title: str) -> tuple[Figure, list[Axes]]:
    figure = empty_figure(8.0, 1.0 + 3.2 * panels)
    first = figure.add_subplot(panels, 1, 1)
    if title:
        lines = [plain_text(line, 110) for line in title.split("\n") if line]
        figure.suptitle("\n".join(lines), fontsize=9 if len(lines) > 1 else 10)
    return figure, [first, *(figure.add_subplot(panels, 1, i + 1, sharex=first) for i in range(1, panels))]
