"""Heat maps of online students: samples to 90 %, final accuracy where that was not reached."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from sim.errors import SimError
from sim.figures.base import Drawn, Number, Row
from sim.figures.heat import NO_RUN, Field, draw_fields, engineering
from sim.online.summary import Median

Values = Sequence[Sequence[Sequence[Number]]]
"""By row, student width and seed, or replicate."""

SAMPLES = "samples to 90 %"


def draw_width_samples(
    axes: Axes,
    student_widths: Sequence[int],
    teacher_widths: Sequence[int],
    samples: Values,
    accuracies: Values,
) -> Drawn:
    """Heat map over the widths of student and teacher, see `draw_results`.

    Raises:
        SimError: values of another shape.
    """
    _check(student_widths, teacher_widths, "teachers", samples, accuracies)
    rows = [(f"{width:,}", f"teacher width {width}") for width in teacher_widths]
    return draw_results(axes, student_widths, rows, samples, accuracies, "teacher width")


def draw_temperature_samples(
    axes: Axes,
    student_widths: Sequence[int],
    temperatures: Sequence[Number],
    samples: Values,
    accuracies: Values,
    *,
    panel: str = "",
    norm: LogNorm | None = None,
) -> Drawn:
    """Heat map over student width and temperature, 0 being hard labels, see `draw_results`.

    Raises:
        SimError: values of another shape.
    """
    _check(student_widths, temperatures, "temperatures", samples, accuracies)
    rows = [(f"{t:g}", f"temperature {t:g}") if t > 0 else ("hard", "hard labels") for t in temperatures]
    return draw_results(
        axes, student_widths, rows, samples, accuracies, "temperature", panel=panel, norm=norm
    )


def draw_results(
    axes: Axes,
    student_widths: Sequence[int],
    rows: Sequence[tuple[str, str]],
    samples: Values,
    accuracies: Values,
    ylabel: str,
    *,
    panel: str = "",
    norm: LogNorm | None = None,
) -> Drawn:
    """Heat map of the median of the samples to 90 %, with least and greatest; the median final accuracy, on grey, where
    the median student does not get there.

    Args:
        axes: where to draw.
        student_widths: columns.
        rows: from the bottom: the label of each, and its series in the data.
        samples: positive; inf where 90 % was not reached, NaN where a run diverged, nothing where there was none.
        accuracies: at the end, of the same runs.
        ylabel: of the axes.
        panel: before the names of the panels in the data.
        norm: of the colours; by default over the values that there are.
    """
    drawn = Drawn()
    fields: list[list[Field]] = []
    start = f"{panel}, " if panel else ""
    for i, (_, series) in enumerate(rows):
        fields.append([])
        for j, width in enumerate(student_widths):
            found, field = _field(start, series, width, samples[i][j], accuracies[i][j])
            fields[-1].append(field)
            drawn.add(found, [(j, i) if samples[i][j] else None] * len(found))
    labels = [f"{width:,}" for width in student_widths]
    draw_fields(axes, labels, [label for label, _ in rows], fields, SAMPLES, norm=norm)
    axes.set_xlabel("student width")
    axes.set_ylabel(ylabel)
    return drawn


def _field(
    start: str, series: str, width: int, samples: Sequence[Number], accuracies: Sequence[Number]
) -> tuple[list[Row], Field]:
    """The rows of a field, and what it shows."""
    kept = [value for value in samples if not math.isnan(value)]
    counts: dict[str, Any] = {"used": len(kept), "seeds": len(samples)}
    middle = Median.of(kept)
    if middle is None:
        field = Field("diverged", hatched=True) if samples else NO_RUN
        return [Row(start + SAMPLES, series, width, **counts)], field
    ends = min(kept), max(kept)
    rows = [Row(start + SAMPLES, series, width, middle.value, *ends, **counts)]
    if math.isfinite(middle.value):
        text, value = engineering(middle.value), middle.value
        text += f"\n{engineering(ends[0])}–{engineering(ends[1])}" if ends[0] < ends[1] else ""
    else:
        final = [value for value in accuracies if not math.isnan(value)]
        accuracy = Median.of(final)
        assert accuracy is not None  # of the same runs
        rows.append(
            Row(start + "final accuracy", series, width, accuracy.value, min(final), max(final), **counts)
        )
        text, value = f"not reached\naccuracy {accuracy.value:.3f}", math.nan
    text += f"\n{len(samples) - len(kept)} diverged" if len(kept) < len(samples) else ""
    return rows, Field(text, value, hatched=math.isnan(value))


def _check(columns: Sequence[int], rows: Sequence[Number], what: str, *values: Values) -> None:
    for one in values:
        if len(one) != len(rows) or any(len(row) != len(columns) for row in one):
            raise SimError(
                f"values of another shape than {len(rows)} {what} × {len(columns)} students are refused: "
                "give those of each"
            )
