"""Figures of online training. Each `draw_` function draws on the axes that it is given, sets no global style and
returns the plotted data; each `_figure` function makes a whole figure, which `save_drawing` writes with its data.

Values are laid out as [seed][x]. What is not finite is never averaged in: a curve with a gap is drawn thin up to there,
ends in a cross, and is left out of the mean and the band; a single result that is missing leaves a cross at the bottom.

The data file has one row a plotted point:

| column | meaning |
|---|---|
| panel | which axes |
| series | which line, as labelled |
| x | samples, steps, temperature (0: hard labels) or student width |
| y | a mean over seeds, a median for samples to 90 % (inf: not reached), or an estimate; empty if there is none |
| low, high | the band or bar around y |
| x_low, x_high | interval of x, of crossings and peaks |
| used | seeds in y |
| seeds | seeds that there are |
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter, NullLocator
from scipy.stats import t as student_t

from sim.errors import SimError
from sim.figures import COLOURS, MARKERS, plain_text, save
from sim.probe import Peak, Probes, Transition

Array = npt.NDArray[np.float64]

TEACHER: Final = "#000000"
OUTSIDE: Final = "#777777"
LINES: Final = ("-", "--", "-.", ":")
BANDS: Final = ("range", "interval")
LOGIT_TICKS: Final = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)


class Row(NamedTuple):
    """A row of the data file."""

    panel: str
    series: str
    x: float
    y: float | None = None
    low: float | None = None
    high: float | None = None
    x_low: float | None = None
    x_high: float | None = None
    used: int | None = None
    seeds: int | None = None


@final
@dataclass(frozen=True)
class Series:
    """A line: one way of training, by seed.

    Attributes:
        label: for the legend.
        x: increasing samples, steps or temperatures.
        values: by seed and x; NaN where a seed has none, inf for samples to a success that was not reached.
        teacher: drawn in black.

    Raises:
        SimError: a seed has not one value an x.
    """

    label: str
    x: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    teacher: bool = False

    def __post_init__(self) -> None:
        """Refuse what is ragged."""
        for row in self.values:
            if len(row) != len(self.x):
                raise SimError(
                    f"{len(row)} values of {self.label!r} are refused: use one for each of {len(self.x)} x"
                )

    @property
    def array(self) -> Array:
        """The values, [seeds, x]."""
        return np.array(self.values, dtype=np.float64).reshape(len(self.values), len(self.x))


@final
@dataclass(frozen=True)
class Drawing:
    """A figure and the data in it."""

    figure: Figure
    rows: tuple[Row, ...]


def save_drawing(drawing: Drawing, *paths: Path) -> None:
    """Write the figure to each path, and its data beside the first as `.csv`. The same data give the same bytes."""
    for path in paths:
        save(drawing.figure, path)
    with paths[0].with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(drawing.rows)


def draw_accuracy(
    axes: Axes,
    series: Sequence[Series],
    *,
    transition: Transition | None = None,
    scale: str = "linear",
    evaluations: int = 4096,
    band: str = "range",
) -> list[Row]:
    """Accuracy against samples: the mean over seeds, with a band.

    Args:
        axes: where to draw.
        series: curves; may be empty.
        transition: the teacher's, shaded.
        scale: of accuracy, `linear` or `logit`; then clipped to what that many evaluations can tell from 0 and 1.
        evaluations: samples behind each accuracy.
        band: `range` (least to greatest seed) or `interval` (95 % for the mean, Student's t).

    Raises:
        SimError: scale or band is unknown.
    """
    if scale not in ("linear", "logit"):
        raise SimError(f"scale {scale!r} is unknown: use linear or logit")
    edge = 0.5 / evaluations if scale == "logit" else 0.0
    rows = _shade(axes, transition)
    lowest = 0.45
    for style, item in _styled(series):
        x, values = np.array(item.x, dtype=np.float64), item.array
        whole: npt.NDArray[np.bool_] = np.all(np.isfinite(values), axis=1)
        middle, low, high = _over_seeds(values[whole], band)
        kept = int(whole.sum())
        text = plain_text(item.label) + ("" if kept == len(whole) else f" ({kept} of {len(whole)} seeds)")
        rows += _rows("accuracy", item.label, x, middle, low, high, kept, len(whole))
        clip = np.clip(np.concatenate([values, [middle, low, high]]), edge, 1 - edge)
        lowest = min(lowest, np.nanmin(clip[:-2], initial=lowest))  # an interval may go far below
        every = _every(MARKERS.index(style["marker"]), len(x))
        axes.plot(x, clip[-3], label=text, markevery=every, markersize=5, linewidth=1.6, **style)
        if kept > 1:
            axes.fill_between(x, clip[-2], clip[-1], color=style["color"], alpha=0.18, linewidth=0)
        for row in clip[:-3][~whole]:
            _draw_broken(axes, x, row, style["color"])
    axes.set_yscale(scale)
    if scale == "logit":
        axes.set_ylim(min(lowest, 0.45) * 0.98, 1 - edge / 2)
        axes.set_yticks([y for y in LOGIT_TICKS if axes.get_ylim()[0] <= y <= 1 - edge])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(lowest - 0.01, 1.02)
    axes.set_ylabel("accuracy")
    _finish(axes, "samples", empty=not any(len(item.x) for item in series))
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
) -> list[Row]:
    """Absolute degree-1 correlations against samples (steps times `batch`).

    A line with ± 1 standard error for each coordinate of the support, a band (5 % to 95 %, dashed mean) for the rest.
    """
    trace = probes.degree(1, reading, replicate)
    x, values = trace.steps * float(batch), np.abs(trace.values)
    rows = _shade(axes, transition, batch)
    rows += _draw_outside(
        axes, x, [{"off": g["off"]} if "off" in g else {} for g in trace.groups], "correlations"
    )
    for index, monomial in enumerate(trace.monomials):
        colour = COLOURS[index % len(COLOURS)]
        y, error = values[:, index], trace.errors[:, index]
        low, high = np.maximum(y - error, 0), y + error
        label = f"coordinate {monomial[0]}"
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(x, y, label=label, markersize=3, linewidth=1.2, **_style(index, len(x)))
        rows += _rows("correlations", label, x, y, low, high)
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
    _finish(axes, "samples", empty=not len(x))
    return rows


def draw_degrees(
    axes: Axes,
    probes: Probes,
    *,
    reading: str = "probability",
    transition: Transition | None = None,
    batch: int = 1,
    replicate: int = 0,
) -> list[Row]:
    """Mean absolute correlation with the support's monomials of each degree, logarithmic, against samples.

    Monomials outside the support, all degrees together, as a grey band. Down to a third of a standard error: a mean of
    several absolute values that are noise only lies at 0.8 standard errors.
    """
    rows = _shade(axes, transition, batch)
    traces = [probes.degree(d, reading, replicate) for d in range(1, len(probes.spec.support) + 1)]
    x = traces[0].steps * float(batch)
    groups = [
        {f"{kind} {g.degree}": g for t in traces for kind, g in t.groups[i].items()} for i in range(len(x))
    ]
    rows += _draw_outside(axes, x, groups, "degrees")
    floor = math.inf
    for index, trace in enumerate(traces):
        y, error = np.abs(trace.values).mean(axis=1), trace.errors.mean(axis=1)
        floor = min(floor, np.nanmin(error / 3, initial=math.inf, where=error > 0))
        label = f"degree {index + 1}" + (
            f", {len(trace.monomials)} monomials" if len(trace.monomials) > 1 else ""
        )
        shown = np.where(y > 0, y, np.nan)
        axes.plot(x, shown, label=label, markersize=3, linewidth=1.2, **_style(index, len(x)))
        rows += _rows("degrees", label, x, y, y - error, y + error)
    if any((row.y or 0) > 0 for row in rows if row.panel == "degrees"):
        axes.set_yscale("log")
        if math.isfinite(floor):
            axes.set_ylim(bottom=floor)
    axes.set_ylabel("mean |correlation| by degree")
    _finish(axes, "samples", empty=not len(x))
    return rows


def draw_choice(
    axes: Axes,
    series: Sequence[Series],
    *,
    transition: Transition | None = None,
    batch: int = 1,
    band: str = "interval",
) -> list[Row]:
    """Final accuracy against the chosen checkpoint (x in steps, drawn in samples); the teacher's own in black."""
    rows = _shade(axes, transition, batch)
    lowest = 0.45
    for style, item in _styled(series):
        x = np.array(item.x, dtype=np.float64) * batch
        lowest = min(lowest, np.nanmin(item.array, initial=lowest, where=np.isfinite(item.array)))
        rows += _draw_points(axes, "final accuracy", item, x, style, band)
    axes.set_ylim(lowest - 0.01, 1.02)
    axes.set_ylabel("final accuracy")
    _finish(axes, "checkpoint, in the teacher's samples", empty=not any(len(item.x) for item in series))
    return rows


def draw_temperature(
    axes: Axes, series: Sequence[Series], *, budget: float | None = None, band: str = "interval"
) -> list[Row]:
    """Final accuracy against temperature (logarithmic; 0, hard labels, at the left) or, with a budget, samples to 90 %.

    Samples: medians and ranges; a median that is infinite is drawn as a triangle at the budget. Raises SimError for a
    budget that is not positive and finite, or an unknown band.
    """
    if budget is not None and not 0 < budget < math.inf:
        raise SimError(f"a budget of {budget} samples is refused: use a positive number")
    warm = sorted({x for item in series for x in item.x if x > 0})
    hard = (warm[0] if warm else 1.0) / max(10.0, (warm[-1] / warm[0]) ** 0.15 if warm else 10.0)
    rows: list[Row] = []
    lowest = 0.45
    for style, item in _styled(series):
        x = np.array([value if value > 0 else hard for value in item.x], dtype=np.float64)
        if budget is None:
            lowest = min(lowest, np.nanmin(item.array, initial=lowest, where=np.isfinite(item.array)))
        rows += _draw_points(
            axes,
            "final accuracy" if budget is None else "samples to 90 %",
            item,
            x,
            style,
            band,
            budget=budget,
            named=item.x,
        )
    axes.set_xscale("log")
    ticks = ([hard] if any(x <= 0 for item in series for x in item.x) else []) + _thinned(warm)
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
            budget, color=OUTSIDE, linewidth=1, linestyle=":", label="budget; triangle: not reached", zorder=0
        )
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("samples to 90 %")
    _finish(axes, "temperature", empty=not any(len(item.x) for item in series), samples=False)
    return rows


def draw_widths(
    axes: Axes,
    student_widths: Sequence[int],
    teacher_widths: Sequence[int],
    values: Sequence[Sequence[Sequence[float]]],
    *,
    what: str = "final accuracy",
) -> list[Row]:
    """Heat map over student width (x) and teacher width (y) of means over seeds, with least and greatest seed.

    Args:
        axes: where to draw.
        student_widths: columns.
        teacher_widths: rows, from the bottom.
        values: by teacher, student and seed; NaN where a run diverged, no seed where there was none.
        what: name of the quantity, in [0, 1].

    Raises:
        SimError: values of another shape.
    """
    shape = (len(teacher_widths), len(student_widths))
    if len(values) != shape[0] or any(len(row) != shape[1] for row in values):
        raise SimError(f"values of another shape than {shape[0]} teachers × {shape[1]} students are refused")
    means, rows = np.full(shape, np.nan), []
    for i, width in enumerate(teacher_widths):
        for j, student in enumerate(student_widths):
            seeds: Array = np.array(values[i][j], dtype=np.float64)
            kept: Array = seeds[np.isfinite(seeds)]
            text = "no run" if not len(seeds) else "diverged"
            low_high: tuple[float | None, float | None] = None, None
            if len(kept):
                means[i, j], low_high = kept.mean(), (float(kept.min()), float(kept.max()))
                text = f"{means[i, j]:.3f}"
                text += f"\n{kept.min():.3f}–{kept.max():.3f}" if kept.min() < kept.max() else ""
                text += f"\n{len(seeds) - len(kept)} diverged" if len(kept) < len(seeds) else ""
            dark = len(kept) > 0 and means[i, j] < 0.7
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
            y = float(means[i, j]) if len(kept) else None
            series = f"teacher width {width}"
            rows.append(Row(what, series, student, y, *low_high, used=len(kept), seeds=len(seeds)))
    if means.size:
        axes.set_facecolor("#dddddd")
        image = axes.imshow(means, origin="lower", aspect="auto", cmap="cividis", vmin=0.5, vmax=1)
        colours = axes.figure.colorbar(image, ax=axes)
        colours.set_label(plain_text(what))
    axes.set_xticks(range(shape[1]), [f"{width:,}" for width in student_widths])
    axes.set_yticks(range(shape[0]), [f"{width:,}" for width in teacher_widths])
    axes.set_xlabel("student width")
    axes.set_ylabel("teacher width")
    if not means.size:
        _say_empty(axes)
    return rows


def accuracy_figure(series: Sequence[Series], *, title: str = "", **options: Any) -> Drawing:
    """Accuracy against samples; options as for `draw_accuracy`."""
    figure, (axes,) = _figure(1, title)
    return Drawing(figure, tuple(draw_accuracy(axes, series, **options)))


def correlation_figure(
    probes: Probes,
    *,
    title: str = "",
    reading: str = "probability",
    transition: Transition | None = None,
    peak: Peak | None = None,
    batch: int = 1,
    span: tuple[float, float] | None = None,
) -> Drawing:
    """Correlations against samples: degree 1 above, all degrees below; `span` limits the samples that are shown."""
    figure, (top, bottom) = _figure(2, title)
    rows = draw_correlations(top, probes, reading=reading, transition=transition, peak=peak, batch=batch)
    rows += draw_degrees(bottom, probes, reading=reading, transition=transition, batch=batch)
    top.set_xlabel("")
    if span is not None:
        top.set_xlim(*span)
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
    band: str = "interval",
) -> Drawing:
    """Final accuracy against the chosen checkpoint, and below it the degree-1 correlations of those there."""
    figure, (top, *below) = _figure(1 if probes is None else 2, title)
    rows = draw_choice(top, series, transition=transition, batch=batch, band=band)
    if probes is not None:
        rows += draw_correlations(
            below[0], probes, reading=reading, transition=transition, peak=peak, batch=batch
        )
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
    band: str = "interval",
) -> Drawing:
    """Final accuracy and, below it, samples to 90 % against temperature."""
    figure, (top, bottom) = _figure(2, title)
    rows = draw_temperature(top, accuracies, band=band)
    rows += draw_temperature(bottom, samples, budget=budget)
    top.set_xlabel("")
    return Drawing(figure, tuple(rows))


def widths_figure(
    student_widths: Sequence[int],
    teacher_widths: Sequence[int],
    values: Sequence[Sequence[Sequence[float]]],
    *,
    title: str = "",
    what: str = "final accuracy",
) -> Drawing:
    """The heat map over widths."""
    figure, (axes,) = _figure(1, title)
    return Drawing(figure, tuple(draw_widths(axes, student_widths, teacher_widths, values, what=what)))


def _figure(panels: int, title: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(8.0, 1.0 + 3.2 * panels), layout="constrained")
    FigureCanvasAgg(figure)
    first = figure.add_subplot(panels, 1, 1)
    if title:
        figure.suptitle(plain_text(title, 110), fontsize=10)
    return figure, [first, *(figure.add_subplot(panels, 1, i + 1, sharex=first) for i in range(1, panels))]


def _styled(series: Sequence[Series]) -> list[tuple[dict[str, Any], Series]]:
    """Black for teachers, else a colour, marker and line each; students lie over teachers."""
    styles: list[tuple[dict[str, Any], Series]] = []
    palette, students = COLOURS[:-1], 0  # the last is black
    for item in series:
        if item.teacher:
            style = {"color": TEACHER, "marker": MARKERS[-1], "linestyle": "-", "zorder": 2.1}
        else:
            style = {
                "color": palette[students % len(palette)],
                "marker": MARKERS[students % (len(MARKERS) - 1)],
                "linestyle": LINES[students // len(palette) % len(LINES)],
                "zorder": 2.2,
            }
            students += 1
        styles.append((style, item))
    return styles


def _over_seeds(values: Array, band: str) -> tuple[Array, Array, Array]:
    """Mean of accuracies over the first axis, and low and high of the band, within [0, 1]; NaN without seeds."""
    if band not in BANDS:
        raise SimError(f"band {band!r} is unknown: use one of {', '.join(BANDS)}")
    seeds = len(values)
    if not seeds:
        return (np.full(values.shape[1], np.nan),) * 3
    mean = values.mean(axis=0)
    if band == "range" or seeds == 1:
        return mean, values.min(axis=0), values.max(axis=0)
    half = float(student_t.isf(0.025, seeds - 1)) / math.sqrt(seeds) * values.std(axis=0, ddof=1)
    return mean, np.maximum(mean - half, 0), np.minimum(mean + half, 1)


def _draw_points(
    axes: Axes,
    panel: str,
    item: Series,
    x: Array,
    style: dict[str, Any],
    band: str,
    *,
    budget: float | None = None,
    named: Sequence[float] | None = None,
) -> list[Row]:
    """Results of separate runs at each x, with bars; medians and ranges where there is a budget.

    `named` is x as the data file has it, where that is not what is drawn.
    """
    values, y = item.array, np.full((3, len(x)), np.nan)
    counts = []
    for i, column in enumerate(values.T):
        kept = column[np.isfinite(column) if budget is None else column > 0]
        counts.append(len(kept))
        if budget is not None and len(kept):
            y[:, i] = np.quantile(kept, 0.5, method="higher"), kept.min(), kept.max()
        elif len(kept):
            y[:, i] = [float(part[0]) for part in _over_seeds(kept[:, None], band)]
    shown = np.minimum(y, math.inf if budget is None else budget)
    beyond = np.isinf(y[0])
    bars = np.where(beyond, 0, np.maximum([shown[0] - shown[1], shown[2] - shown[0]], 0))
    line = {"color": style["color"], "linestyle": style["linestyle"], "zorder": style["zorder"]}
    axes.errorbar(
        x, np.where(beyond, np.nan, shown[0]), yerr=None if item.teacher else bars, marker=style["marker"],
        markersize=5, capsize=3, linewidth=1.4, label=plain_text(item.label), **line,
    )  # fmt: skip
    for i, count in enumerate(counts):
        if beyond[i]:
            axes.plot(x[i], shown[0, i], marker="^", markersize=8, fillstyle="none", color=style["color"])
        if count < len(values):
            axes.plot(
                x[i], 0.02, marker="x", markersize=6, color=style["color"], transform=axes.get_xaxis_transform(),
                clip_on=False,
            )  # fmt: skip
    rows = _rows(panel, item.label, x if named is None else named, y[0], y[1], y[2], seeds=len(values))
    return [row._replace(used=used) for row, used in zip(rows, counts, strict=True)]


def _draw_broken(axes: Axes, x: Array, row: Array, colour: str) -> None:
    """A seed that has gaps: thin, with a cross where it breaks off."""
    finite = np.flatnonzero(np.isfinite(row))
    axes.plot(x, row, color=colour, linewidth=0.8, alpha=0.7)
    if len(finite):
        axes.plot(x[finite[-1]], row[finite[-1]], color=colour, marker="x", markersize=7, linestyle="none")


def _draw_outside(axes: Axes, x: Array, groups: Sequence[dict[str, Any]], panel: str) -> list[Row]:
    """What lies outside the support: a band from the least to the greatest 5 % and 95 % quantile, and the mean."""
    if not any(groups):
        return []
    low, high, mean = np.array(
        [
            (
                min(x.low for x in g.values()),
                max(x.high for x in g.values()),
                np.mean([x.mean for x in g.values()]),
            )
            if g
            else (math.nan,) * 3
            for g in groups
        ]
    ).T
    axes.fill_between(
        x, low, high, color=OUTSIDE, alpha=0.3, linewidth=0, label="outside the support, 5 % to 95 %"
    )
    axes.plot(x, mean, color=OUTSIDE, linewidth=1, linestyle="--", marker="." if len(x) == 1 else None)
    return _rows(panel, "outside the support", x, mean, low, high)


def _shade(axes: Axes, transition: Transition | None, batch: int = 1) -> list[Row]:
    """The window of the transition as a shade, its crossings as lines."""
    if transition is None or transition.start is None:
        return []
    crossings = transition.crossings
    if transition.end is not None:
        text = f"teacher's transition, {100 * crossings[0].level:g} % to {100 * crossings[-1].level:g} %"
        axes.axvspan(
            transition.start * batch,
            transition.end * batch,
            color="#f0e442",
            alpha=0.35,
            linewidth=0,
            label=text,
        )
    else:
        axes.axvline(
            transition.start * batch, color="#b5a900", linewidth=1.2, label="teacher's transition begins"
        )
    for crossing in crossings:
        axes.axvline(crossing.step * batch, color="#b5a900", linewidth=0.7, linestyle=":", zorder=0)
    return [
        Row(
            "transition",
            f"crossing of {c.level:g}",
            c.step * batch,
            c.level,
            x_low=c.low * batch,
            x_high=None if c.high is None else c.high * batch,
        )
        for c in crossings
    ]


def _rows(
    panel: str,
    series: str,
    x: Sequence[float] | Array,
    y: Array,
    low: Array,
    high: Array,
    used: int | None = None,
    seeds: int | None = None,
) -> list[Row]:
    def number(value: float) -> float | None:
        return None if math.isnan(value) else float(value)

    return [
        Row(panel, series, float(at), number(a), number(b), number(c), used=used, seeds=seeds)
        for at, a, b, c in zip(x, y, low, high, strict=True)
    ]


def _style(index: int, points: int) -> dict[str, Any]:
    """Colour, line and marker of the index-th of many lines; black is among the colours."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": LINES[index // len(COLOURS) % len(LINES)],
        "marker": MARKERS[index % len(MARKERS)],
        "markevery": _every(index, points),
    }


def _every(index: int, points: int) -> tuple[float, float] | None:
    """Where a line of many points has markers: apart along the line, and not where other lines have theirs."""
    return (0.1 * (index % len(MARKERS)) / len(MARKERS), 0.15) if points > 12 else None


def _thinned(values: list[float]) -> list[float]:
    """At most nine of the values, the first and last among them."""
    return values if len(values) <= 9 else [values[round(i * (len(values) - 1) / 8)] for i in range(9)]


def _finish(axes: Axes, xlabel: str, *, empty: bool, samples: bool = True) -> None:
    axes.set_xlabel(xlabel)
    if samples:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)
    if empty:
        _say_empty(axes)


def _say_empty(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", color=OUTSIDE)
