"""The two figures: speed-up over peers, and each kernel under the machine's roofs. Functions draw on given axes."""

import math
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.calibration import Machine
from benchmarks.case import Limit, Row
from benchmarks.options import figure_paths
from benchmarks.table import KINDS
from sim.figures import COLOURS, MARKERS
from sim.files import whole

FIGURES = ("-speedup", "-roofline")
PANELS = {"logic": "vector operations", "gemm": "float32 operations"}
GREY = "0.35"
NEIGHBOURHOOD = 0.06  # decades
STYLE: dict[Any, Any] = {"svg.hashsalt": "benchmarks", "font.size": 9}


def draw_speedup(axes: Axes, rows: Sequence[Row]) -> None:
    """How many times as long each peer takes as we do, one line a case; quartiles as bars."""
    shown = [row for row in rows if row.peers]
    for index, kind in enumerate(KINDS):
        points = [(y, peer.times) for y, row in enumerate(shown) for peer in row.peers if peer.kind == kind]
        if not points:
            continue
        at = [y + 0.09 * (index - 2) for y, _ in points]
        middle = np.array([times.median for _, times in points])
        bars = [
            [times.median - times.low for _, times in points],
            [times.high - times.median for _, times in points],
        ]
        axes.errorbar(
            middle,
            at,
            xerr=np.maximum(bars, 0),
            linestyle="none",
            marker=MARKERS[index],
            color=COLOURS[index],
            markersize=5,
            elinewidth=1,
            label=kind,
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.text(1.05, 0.995, "ours", transform=axes.get_xaxis_transform(), va="top", fontsize=8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [row.kernel + ", " + row.size for row in shown])
    axes.set_ylim(max(1, len(shown)) - 0.5, -0.5)
    axes.set_xlabel("times as long as ours")
    axes.grid(True, axis="x", which="major", linewidth=0.4, alpha=0.6)
    for y in range(1, len(shown)):
        axes.axhline(y - 0.5, color="black", linewidth=0.3, alpha=0.4)
    if shown:
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(KINDS) // 2, fontsize=8, frameon=False
        )
    else:
        axes.text(0.5, 0.5, "no peer was measured", transform=axes.transAxes, ha="center", va="center")


def draw_roofline(axes: Axes, rows: Sequence[Row], machine: Machine, resource: str) -> None:
    """Operations a second against operations a byte: the roofs, and the cases whose limit is of this resource.

    Filled points are ours; hollow ones the fastest peer, where it moves other bytes than we do.
    """
    shown = _under(rows, resource)
    series: dict[str, list[Point]] = {}
    peers: list[Point] = []
    for row, limit in shown:
        name, label = _series(row)
        rate = limit.operations / row.nanoseconds.median * 1e9
        series.setdefault(name, []).append(Point(limit.operations / limit.bytes, rate, label))
        if limit.stepwise and row.peers:
            best = min(row.peers, key=lambda peer: peer.nanoseconds.median)
            rate = limit.operations / best.nanoseconds.median * 1e9
            peers.append(Point(limit.operations / limit.stepwise, rate, f"{best.kind}, {label}"))
    points = [point for group in (*series.values(), peers) for point in group] or [Point(1, 1e9, "")]
    low, high = min(p.intensity for p in points) / 3, max(p.intensity for p in points) * 4
    top = _draw_roofs(axes, machine, resource, {limit.memory for _, limit in shown}, (low, high))
    for index, (name, group) in enumerate(series.items()):
        _draw_points(axes, group, MARKERS[index], COLOURS[index], name, hollow=False)
    if peers:
        _draw_points(axes, peers, "o", GREY, "fastest peer: all weights for every step", hollow=True)
    bottom = min(p.rate for p in points) / 2
    colours = [COLOURS[index] for index, group in enumerate(series.values()) for _ in group] + [GREY] * len(
        peers
    )
    _annotate(axes, points, colours, math.log10(top * 2.5 / bottom) / 40)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, top * 2.5)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"{PANELS[resource]} per byte")
    axes.set_ylabel(f"{PANELS[resource]} per second")
    axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
    if shown:
        axes.legend(fontsize=8, loc="lower right", framealpha=0.95)
    else:
        axes.text(0.5, 0.5, "no such case was measured", transform=axes.transAxes, ha="center", va="center")


def _under(rows: Sequence[Row], resource: str) -> list[tuple[Row, Limit]]:
    """The cases with such a limit, without the grid's, which is that of its kernel."""
    limited = [(row, row.limit) for row in rows if row.limit is not None and row.kernel != "default grid"]
    return [(row, limit) for row, limit in limited if limit.resource == resource]


class Point(NamedTuple):
    """Operations a byte, operations a second, and what it is."""

    intensity: float
    rate: float
    label: str


def _series(row: Row) -> tuple[str, str]:
    """What a row's points are drawn as, and what stands at this one."""
    first, comma, last = row.size.partition(", ")
    return (f"{row.kernel}, {last}", first) if comma else (row.kernel, row.size)


def _draw_roofs(
    axes: Axes, machine: Machine, resource: str, used: set[str], span: tuple[float, float]
) -> float:
    """The machine's rates as lines; returns the highest."""
    if resource == "logic":
        peaks = {"vector operations": machine.logic}
    else:
        peaks = {"multiply-adds in registers": machine.multiply_add, "large fp32 product": machine.gemm}
        used = used | {"memory"}
    top = max(peaks.values())
    for (name, peak), style, below in zip(peaks.items(), ("-", "--"), ("bottom", "top"), strict=False):
        axes.axhline(peak, color="black", linewidth=1, linestyle=style)
        axes.text(span[0], peak, f" {name}", ha="left", va=below, fontsize=8)
    x = np.geomspace(*span, 200)
    for style, (level, rate) in zip(("-", "--", "-.", ":"), machine.read.items(), strict=False):
        if level in used:
            roof = np.minimum(rate * x, top)
            axes.plot(x, roof, color="0.5", linewidth=1, linestyle=style, label=f"bytes from {level}")
    return top


def _draw_points(
    axes: Axes, points: Sequence[Point], marker: str, colour: str, name: str, *, hollow: bool
) -> None:
    axes.plot(
        [p.intensity for p in points],
        [p.rate for p in points],
        linestyle="none",
        marker=marker,
        color=colour,
        markerfacecolor="white" if hollow else colour,
        markersize=6,
        label=name,
    )


def _annotate(axes: Axes, points: Sequence[Point], colours: Sequence[str], gap: float) -> None:
    """Labels beside the points, from below to above; those of one neighbourhood at least `gap` decades apart."""
    placed: list[tuple[float, float]] = []
    for point, colour in sorted(zip(points, colours, strict=False), key=lambda pair: pair[0].rate):
        x, y = math.log10(point.intensity), math.log10(point.rate)
        near = [other for at, other in placed if abs(at - x) < NEIGHBOURHOOD and other > y - gap]
        y = max([y, *(other + gap for other in near)])
        placed.append((x, y))
        axes.annotate(
            point.label,
            (point.intensity, point.rate),
            (point.intensity * 10 ** (0.4 * NEIGHBOURHOOD), 10**y),
            color=colour,
            fontsize=6.5,
            va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 2},
        )


def save(rows: Sequence[Row], machine: Machine | None, out: Path, heading: str) -> None:
    """Draws both figures beside `out`; the roofline only where the machine was calibrated and something lies under it.

    Raises:
        SimError: a file cannot be written.
    """
    size = (8, 1.6 + 0.36 * sum(1 for row in rows if row.peers))
    speedup, roofline = FIGURES
    save_figure(lambda figure: draw_speedup(figure.subplots(), rows), size, out, speedup, heading)
    shown = [resource for resource in PANELS if _under(rows, resource)]
    if machine is None or not shown:
        return

    def rooflines(figure: Figure) -> None:
        for axes, resource in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            draw_roofline(axes, rows, machine, resource)

    save_figure(rooflines, (6 * len(shown), 5.2), out, roofline, heading)


def save_figure(
    draw: Callable[[Figure], None], size: tuple[float, float], out: Path, name: str, heading: str
) -> None:
    """A figure of a size in inches with a heading, as .png and .svg, each written whole.

    Raises:
        SimError: a file cannot be written.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.suptitle("\n".join(textwrap.wrap(heading, 110)), fontsize=7)
        for path in figure_paths(out, [name]):
            kind = path.suffix[1:]
            with whole(path, "figure ") as temporary:
                figure.savefig(
                    temporary, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None
                )
            print(f"wrote {path}", file=sys.stderr)
