"""What the drawings of online training are made of: lines by seed, their marks on the axes, and rows of their data.

Values are laid out as [seed][x]. What is not finite is never averaged in: a curve with a gap is drawn thin up to there,
ends in a cross, and is left out of the mean and the band; a single result that is missing leaves a cross at the bottom.

Each mark that stands for data returns its rows, see `sim.figures.base`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from sim.errors import SimError
from sim.figures.base import COLOURS, GREY, MARKERS, Drawn, Row, plain_text, say_empty
from sim.online.summary import Median
from sim.transition import Transition

Array = npt.NDArray[np.float64]

TEACHER: Final = "#000000"
LINES: Final = ("-", "--", "-.", ":")


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


def styled(series: Sequence[Series]) -> list[tuple[dict[str, Any], Series]]:
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


def over_seeds(values: Array) -> tuple[Array, Array, Array]:
    """Mean, least and greatest over the first axis; NaN without seeds."""
    if not len(values):
        return (np.full(values.shape[1], np.nan),) * 3
    return values.mean(axis=0), values.min(axis=0), values.max(axis=0)


def rows_of(
    panel: str,
    series: str,
    x: Sequence[float] | Array,
    y: Array,
    low: Array,
    high: Array,
    used: int | None = None,
    seeds: int | None = None,
) -> list[Row]:
    """A row a point of a line, with its band; no y where it is NaN.

    Args:
        panel: which axes.
        series: which line.
        x: of each point; y, low and high as many.
        y: of each point, NaN where there is none.
        low: lower end of the band.
        high: upper end of the band.
        used: seeds in y.
        seeds: seeds that there are.
    """

    def number(value: float) -> float | None:
        return None if math.isnan(value) else float(value)

    return [
        Row(panel, series, float(at), number(a), number(b), number(c), used=used, seeds=seeds)
        for at, a, b, c in zip(x, y, low, high, strict=True)
    ]


def style_of(index: int, points: int) -> dict[str, Any]:
    """Colour, line and marker of the index-th of many lines; black is among the colours."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": LINES[index // len(COLOURS) % len(LINES)],
        "marker": MARKERS[index % len(MARKERS)],
        "markevery": marker_places(index, points),
    }


def marker_places(index: int, points: int) -> tuple[float, float] | None:
    """Where a line of many points has markers: apart along the line, and not where other lines have theirs."""
    return (0.1 * (index % len(MARKERS)) / len(MARKERS), 0.15) if points > 12 else None


def apart(places: Sequence[float], lines: int) -> list[float]:
    """How far each line is moved aside, so that bars at one place do not hide one another.

    Args:
        places: of the points, increasing.
        lines: how many there are.
    """
    if lines < 2 or len(places) < 2:
        return [0.0] * lines
    step = min(0.006, 0.5 / (lines * len(places))) * (places[-1] - places[0])
    return [step * (line - (lines - 1) / 2) for line in range(lines)]


def draw_points(
    axes: Axes,
    panel: str,
    item: Series,
    x: Array,
    style: dict[str, Any],
    *,
    budget: float | None = None,
    named: Sequence[float] | None = None,
) -> Drawn:
    """Results of separate runs at each x: medians with the intervals of `sim.online.summary` as bars.

    With a budget they are samples, of which ∞ is one. `named` is x as the data file has it, where that is not what is
    drawn.
    """
    values, y = item.array, np.full((3, len(x)), np.nan)
    counts = []
    for i, column in enumerate(values.T):
        kept = column[np.isfinite(column) if budget is None else column > 0]
        counts.append(len(kept))
        middle = Median.of(kept.tolist())
        if middle is not None:
            y[:, i] = middle.value, middle.low, middle.high
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
    rows = rows_of(panel, item.label, x if named is None else named, y[0], y[1], y[2], seeds=len(values))
    drawn = Drawn()
    drawn.add(
        [row._replace(used=used) for row, used in zip(rows, counts, strict=True)],
        [(float(a), float(b)) if math.isfinite(b) else None for a, b in zip(x, shown[0], strict=True)],
    )
    return drawn


def draw_broken(axes: Axes, x: Array, row: Array, colour: str) -> None:
    """A seed that has gaps: thin, with a cross where it breaks off."""
    finite = np.flatnonzero(np.isfinite(row))
    axes.plot(x, row, color=colour, linewidth=0.8, alpha=0.7)
    if len(finite):
        axes.plot(x[finite[-1]], row[finite[-1]], color=colour, marker="x", markersize=7, linestyle="none")


def draw_outside(axes: Axes, x: Array, groups: Sequence[dict[str, Any]], panel: str) -> list[Row]:
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
        x, low, high, color=GREY, alpha=0.3, linewidth=0, label="outside the support, 5 % to 95 %"
    )
    axes.plot(x, mean, color=GREY, linewidth=1, linestyle="--", marker="." if len(x) == 1 else None)
    return rows_of(panel, "outside the support", x, mean, low, high)


def shade(axes: Axes, transition: Transition | None, batch: int = 1, *, panel: str = "transition") -> Drawn:
    """The window of the transition as a shade, its crossings as lines over the whole height: no places."""
    drawn = Drawn()
    if transition is None or transition.start is None:
        return drawn
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
    rows = [
        Row(
            panel,
            f"crossing of {c.level:g}",
            c.step * batch,
            c.level,
            x_low=c.low * batch,
            x_high=None if c.high is None else c.high * batch,
        )
        for c in crossings
    ]
    drawn.add(rows, [None] * len(rows))
    return drawn


def finish(axes: Axes, xlabel: str, *, empty: bool, samples: bool = True) -> None:
    """Label x (as a number of samples or not), and add grid, legend, and a remark if there is no data."""
    axes.set_xlabel(xlabel)
    if samples:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False)
    if empty:
        say_empty(axes)
