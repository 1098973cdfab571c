"""Heat maps over the widths of teacher and student; they return their data, as `sim.online.draw` does."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import EngFormatter, NullLocator

from sim.errors import SimError
from sim.figures import plain_text
from sim.online.marks import Array, Row, say_empty
from sim.online.summary import Median

Values = Sequence[Sequence[Sequence[float]]]
"""By teacher, student and seed, or replicate."""


def draw_width_samples(
    axes: Axes,
    student_widths: Sequence[int],
    teacher_widths: Sequence[int],
    samples: Values,
    accuracies: Values,
) -> list[Row]:
    """Heat map of the median of the samples to 90 %, with least and greatest; the median final accuracy, on grey, where
    the median student does not get there.

    Args:
        axes: where to draw.
        student_widths: columns.
        teacher_widths: rows, from the bottom.
        samples: positive; inf where 90 % was not reached, NaN where a run diverged, nothing where there was none.
        accuracies: at the end, of the same runs.

    Raises:
        SimError: values of another shape.
    """
    shape = _shape(student_widths, teacher_widths, samples)
    _shape(student_widths, teacher_widths, accuracies)
    medians, rows = np.full(shape, np.nan), []
    texts: list[tuple[int, int, str]] = []
    number = EngFormatter(sep="")
    for i, width in enumerate(teacher_widths):
        for j, student in enumerate(student_widths):
            there, series = samples[i][j], f"teacher width {width}"
            kept = [value for value in there if not math.isnan(value)]
            counts: dict[str, Any] = {"used": len(kept), "seeds": len(there)}
            middle = Median.of(kept)
            text = "no run" if not there else "diverged"
            if middle is None:
                rows.append(Row("samples to 90 %", series, student, **counts))
            else:
                ends = min(kept), max(kept)
                rows.append(Row("samples to 90 %", series, student, middle.value, *ends, **counts))
                if math.isfinite(middle.value):
                    medians[i, j], shown = middle.value, [number(v) if v < math.inf else "∞" for v in ends]
                    text = number(middle.value) + (f"\n{shown[0]}–{shown[1]}" if ends[0] < ends[1] else "")
                else:
                    final = [value for value in accuracies[i][j] if not math.isnan(value)]
                    accuracy = Median.of(final)
                    assert accuracy is not None  # of the same runs
                    rows.append(
                        Row(
                            "final accuracy",
                            series,
                            student,
                            accuracy.value,
                            min(final),
                            max(final),
                            **counts,
                        )
                    )
                    text = f"not reached\naccuracy {accuracy.value:.3f}"
                text += f"\n{len(there) - len(kept)} diverged" if len(kept) < len(there) else ""
            texts.append((i, j, text))
    finite = medians[np.isfinite(medians)]
    norm = LogNorm(finite.min(), max(finite.max(), finite.min() * 1.01)) if len(finite) else LogNorm(1, 10)
    for i, j, text in texts:
        dark = bool(np.isfinite(medians[i, j])) and norm(medians[i, j]) > 0.6
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    _finish(axes, student_widths, teacher_widths, medians, "samples to 90 %", cmap="cividis_r", norm=norm)
    return rows


def _shape(student_widths: Sequence[int], teacher_widths: Sequence[int], values: Values) -> tuple[int, int]:
    shape = (len(teacher_widths), len(student_widths))
    if len(values) != shape[0] or any(len(row) != shape[1] for row in values):
        raise SimError(f"values of another shape than {shape[0]} teachers × {shape[1]} students are refused")
    return shape


def _finish(
    axes: Axes,
    student_widths: Sequence[int],
    teacher_widths: Sequence[int],
    colours: Array,
    what: str,
    **how: Any,
) -> None:
    """The colours, NaN grey, with their scale; ticks and labels."""
    if colours.size:
        axes.set_facecolor("#dddddd")
        image = axes.imshow(colours, origin="lower", aspect="auto", **how)
        if not np.isnan(colours).all():
            scale = axes.figure.colorbar(image, ax=axes)
            scale.set_label(plain_text(what))
            low, high = np.nanmin(colours), np.nanmax(colours)
            # Powers of ten, which are the rule, may lie outside.
            ticks = sorted({float(low), float(f"{math.sqrt(low * high):.2g}"), float(high)})
            scale.set_ticks(ticks, labels=[EngFormatter(sep="")(tick) for tick in ticks])
            scale.ax.yaxis.set_minor_locator(NullLocator())
    axes.set_xticks(range(len(student_widths)), [f"{width:,}" for width in student_widths])
    axes.set_yticks(range(len(teacher_widths)), [f"{width:,}" for width in teacher_widths])
    axes.set_xlabel("student width")
    axes.set_ylabel("teacher width")
    if not colours.size:
        say_empty(axes)
