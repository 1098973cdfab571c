"""Drawings of online training. Each function draws on the axes that it is given, sets no global style and returns
the plotted data, as rows that `sim.figures.base` describes.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, NullLocator

from sim.errors import SimError
from sim.figures.base import COLOURS, GREY, MARKERS, Drawn, Row, plain_text
from sim.figures.settings import spread
from sim.online.marks import (
    TEACHER,
    Series,
    apart,
    draw_broken,
    draw_outside,
    draw_points,
    finish,
    marker_places,
    over_seeds,
    rows_of,
    shade,
    style_of,
    styled,
)
from sim.probes import Probes
from sim.transition import Peak, Transition

MAX_TICKS = 9
"""Temperatures that have room below an axis."""


def draw_accuracy(
    axes: Axes,
    series: Sequence[Series],
    *,
    transition: Transition | None = None,
    panel: str | None = None,
) -> Drawn:
    """Accuracy against samples: the mean over seeds, with a band from the least to the greatest.

    Args:
        axes: where to draw.
        series: curves; may be empty.
        transition: the teacher's, shaded.
        panel: name of the axes in the data, where there are several such.
    """
    names = ("accuracy", "transition") if panel is None else (panel, f"{panel}, transition")
    rows = shade(axes, transition, panel=names[1])
    lowest = 0.45
    for style, item in styled(series):
        x, values = np.array(item.x, dtype=np.float64), item.array
        whole: npt.NDArray[np.bool_] = np.all(np.isfinite(values), axis=1)
        middle, low, high = over_seeds(values[whole])
        kept = int(whole.sum())
        text = plain_text(item.label) + ("" if kept == len(whole) else f" ({kept} of {len(whole)})")
        rows += rows_of(names[0], item.label, x, middle, low, high, kept, len(whole))
        clip = np.clip(values, 0, 1)
        lowest = min(lowest, np.nanmin(clip, initial=lowest))
        every = marker_places(MARKERS.index(style["marker"]), len(x))
        axes.plot(x, middle, label=text, markevery=every, markersize=5, linewidth=1.6, **style)
        if kept > 1:
            axes.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
        for row in clip[~whole]:
            draw_broken(axes, x, row, style["color"])
    axes.set_ylim(lowest - 0.01, 1.02)
    axes.set_ylabel("accuracy")
    finish(axes, "samples", empty=not any(len(item.x) for item in series))
    return rows


def draw_correlations(
    axes: Axes,
    probes: Probes,
    *,
    reading: str = "probability",
    transition: Transition | None = None,
    peak: Peak | None = None,
    batch: int = 1,
    replicate: int = 0,
) -> Drawn:
    """Absolute degree-1 correlations against samples (steps times `batch`).

    A line with ± 1 standard error for each coordinate of the support, a band (5 % to 95 %, dashed mean) for the rest.
    """
    trace = probes.degree(1, reading, replicate)
    x, values = trace.steps * float(batch), np.abs(trace.values)
    rows = shade(axes, transition, batch)
    rows.take(
        draw_outside(axes, x, [{"off": g["off"]} if "off" in g else {} for g in trace.groups], "correlations")
    )
    for index, monomial in enumerate(trace.monomials):
        colour = COLOURS[index % len(COLOURS)]
        y, error = values[:, index], trace.errors[:, index]
        low, high = np.maximum(y - error, 0), y + error
        label = f"coordinate {monomial[0]}"
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(x, y, label=label, markersize=3, linewidth=1.2, **style_of(index, len(x)))
        rows += rows_of("correlations", label, x, y, low, high)
    if peak is not None:
        at, ends = peak.step * batch, (peak.low * batch, peak.high * batch)
        axes.errorbar(
            at, peak.value, xerr=[[at - ends[0]], [ends[1] - at]], color=TEACHER, marker="*", markersize=9, capsize=4,
            linestyle="none", label="peak of the mean, 95 % interval", zorder=4,
        )  # fmt: skip
        low_high = peak.value - peak.error, peak.value + peak.error
        rows.append(Row("correlations", "peak of the mean", at, peak.value, *low_high, *ends))
    axes.set_ylim(bottom=0)
    axes.set_ylabel("|correlation|, degree 1")
    finish(axes, "samples", empty=not len(x))
    return rows


def draw_degrees(
    axes: Axes,
    probes: Probes,
    *,
    reading: str = "probability",
    transition: Transition | None = None,
    batch: int = 1,
    replicate: int = 0,
) -> Drawn:
    """Mean absolute correlation with the support's monomials of each degree, logarithmic, against samples.

    Monomials outside the support, all degrees together, as a grey band. Down to a third of a standard error: a mean of
    several absolute values that are noise only lies at 0.8 standard errors.
    """
    rows = shade(axes, transition, batch)
    traces = [probes.degree(d, reading, replicate) for d in range(1, len(probes.spec.support) + 1)]
    x = traces[0].steps * float(batch)
    groups = [
        {f"{kind} {g.degree}": g for t in traces for kind, g in t.groups[i].items()} for i in range(len(x))
    ]
    rows.take(draw_outside(axes, x, groups, "degrees"))
    floor = math.inf
    for index, trace in enumerate(traces):
        y, error = np.abs(trace.values).mean(axis=1), trace.errors.mean(axis=1)
        floor = min(floor, np.nanmin(error / 3, initial=math.inf, where=error > 0))
        label = f"degree {index + 1}" + (
            f", {len(trace.monomials)} monomials" if len(trace.monomials) > 1 else ""
        )
        shown = np.where(y > 0, y, np.nan)
        axes.plot(x, shown, label=label, markersize=3, linewidth=1.2, **style_of(index, len(x)))
        places = [(float(a), float(b)) if b > 0 else None for a, b in zip(x, y, strict=True)]
        rows.add(rows_of("degrees", label, x, y, y - error, y + error), places)
    if any((row.y or 0) > 0 for row in rows if row.panel == "degrees"):
        axes.set_yscale("log")
        if math.isfinite(floor):
            axes.set_ylim(bottom=floor)
    axes.set_ylabel("mean |correlation| by degree")
    finish(axes, "samples", empty=not len(x))
    return rows


def draw_choice(
    axes: Axes,
    series: Sequence[Series],
    *,
    transition: Transition | None = None,
    batch: int = 1,
    origin: str | None = None,
) -> Drawn:
    """Final accuracy against the chosen checkpoint (x in steps, drawn in samples); the teacher's own in black.

    With an origin, in words, steps are counted from there.
    Lines are drawn a little apart, so that bars at one checkpoint can be told from one another; the data are not.
    """
    rows = shade(axes, transition, batch)
    lowest = 0.45
    places = sorted({x * batch for item in series if not item.teacher for x in item.x})
    gaps = iter(apart(places, sum(not item.teacher for item in series)))
    for style, item in styled(series):
        x = np.array(item.x, dtype=np.float64) * batch
        lowest = min(lowest, np.nanmin(item.array, initial=lowest, where=np.isfinite(item.array)))
        shown = x if item.teacher else x + next(gaps)
        rows.take(draw_points(axes, "final accuracy", item, shown, style, named=tuple(x)))
    axes.set_ylim(lowest - 0.01, 1.02)
    axes.set_ylabel("final accuracy")
    since = "" if origin is None else f" from the {origin}"
    finish(
        axes, f"checkpoint, in the teacher's samples{since}", empty=not any(len(item.x) for item in series)
    )
    return rows


def draw_temperature(axes: Axes, series: Sequence[Series], *, budget: float | None = None) -> Drawn:
    """Final accuracy against temperature (logarithmic; 0, hard labels, at the left) or, with a budget, samples to 90 %.

    A median of samples that is infinite is drawn as a triangle at the budget. Raises SimError for a budget that is not
    positive and finite.
    """
    if budget is not None and not 0 < budget < math.inf:
        raise SimError(f"a budget of {budget} samples is refused: use a positive number")
    warm = sorted({x for item in series for x in item.x if x > 0})
    hard = (warm[0] if warm else 1.0) / max(10.0, (warm[-1] / warm[0]) ** 0.15 if warm else 10.0)
    rows = Drawn()
    lowest = 0.45
    places = [math.log(x) for x in sorted({x if x > 0 else hard for item in series for x in item.x})]
    gaps = apart(places, len(series))
    for gap, (style, item) in zip(gaps, styled(series), strict=True):
        x = np.array([value if value > 0 else hard for value in item.x], dtype=np.float64) * math.exp(gap)
        if budget is None:
            lowest = min(lowest, np.nanmin(item.array, initial=lowest, where=np.isfinite(item.array)))
        panel = "final accuracy" if budget is None else "samples to 90 %"
        rows.take(draw_points(axes, panel, item, x, style, budget=budget, named=item.x))
    axes.set_xscale("log")
    ticks = ([hard] if any(x <= 0 for item in series for x in item.x) else []) + spread(warm, MAX_TICKS)
    axes.set_xticks(ticks, ["hard" if x == hard else f"{x:g}" for x in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    if budget is None:
        axes.set_ylim(lowest - 0.01, 1.02)
        axes.set_ylabel("final accuracy")
    else:
        reached = [row.low for row in rows if row.low is not None and row.low < budget]
        axes.set_yscale("log")
        axes.set_ylim(min([budget / 2, *reached]) / 1.4, budget * 1.4)
        axes.axhline(
            budget, color=GREY, linewidth=1, linestyle=":", label="budget; triangle: not reached", zorder=0
        )
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("samples to 90 %")
    finish(axes, "temperature", empty=not any(len(item.x) for item in series), samples=False)
    return rows
