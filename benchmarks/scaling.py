"""`python -m benchmarks.scaling`: throughput of the kernels against threads, students, width, n and samples.

Every series is timed in turns, all its sizes in each round. A series *saturates* at the first size whose throughput is
within 10 % of the best; what holds it back there is seen in its distance to the machine's limit.
Prints a table, writes everything to --out as JSON, and draws a figure beside it.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import kernels
from benchmarks import first_step, table, training
from benchmarks.calibration import Machine, calibrate
from benchmarks.case import Limit
from benchmarks.figures import save_figure
from benchmarks.limits import first_step_limit, sgd_limit
from benchmarks.options import checked, common_parser, keep, run_main
from benchmarks.problems import N
from benchmarks.side_by_side import Contender, Spread, interleave, spread
from sim.arguments import Parser
from sim.figures import COLOURS, MARKERS

NEAR_BEST = 0.9
PANELS = ("threads", "students", "width", "neurons", "n", "samples")


@dataclass(frozen=True)
class Series:
    """Sizes along an axis.

    Attributes:
        axis: what is varied, one of PANELS.
        name: what stays, in words.
        unit: of work.
        sizes: increasing.
        make: the contender of a size.
        limit: of a size; threads: how many of them a size has.
    """

    axis: str
    name: str
    unit: str
    sizes: tuple[int, ...]
    make: Callable[[int], Contender]
    limit: Callable[[int], Limit]
    threads: Callable[[int], int]


class Point(NamedTuple):
    """Units a second at a size (median and quartiles), and how many times the limit a unit takes."""

    size: int
    throughput: Spread
    over_limit: float | None


@dataclass(frozen=True)
class Curve:
    """A series, measured."""

    axis: str
    name: str
    unit: str
    points: list[Point]

    @property
    def shares(self) -> list[float]:
        """Throughput of each point, as a share of the best one's."""
        best = max(point.throughput.median for point in self.points)
        return [point.throughput.median / best for point in self.points]

    @property
    def saturated(self) -> int:
        """Which point is the first whose throughput is within 10 % of the best."""
        return next(at for at, share in enumerate(self.shares) if share >= NEAR_BEST)


def all_series(threads: int, seconds: float) -> list[Series]:
    """Every series, on at most `threads` threads."""
    counts = tuple(1 << p for p in range(threads.bit_length()) if 1 << p <= threads)

    def first(
        axis: str, name: str, sizes: Sequence[int], shape: Callable[[int], tuple[int, int, int]]
    ) -> Series:
        """shape: n, neurons and threads of a size."""

        def make(size: int) -> Contender:
            n, neurons, used = shape(size)
            streams = 4 * threads if neurons == 1 else 1
            samples = first_step.samples_for(n, neurons, seconds) * used // streams
            return _per_coordinate(first_step.ours(n, neurons, samples, streams=streams, threads=used), n)

        def limit(size: int) -> Limit:
            n, neurons, _ = shape(size)
            return first_step_limit(n, neurons).per(n)

        return Series(axis, name, "coordinates", tuple(sizes), make, limit, lambda size: shape(size)[2])

    def sgd(
        axis: str, name: str, sizes: Sequence[int], shape: Callable[[int], tuple[int, int, int, int]]
    ) -> Series:
        """shape: n, width, students and threads of a size."""

        def make(size: int) -> Contender:
            n, width, students, used = shape(size)
            steps = training.steps_for(width, students, seconds * used, n)
            return training.ours(width, students, steps, threads=used, n=n)

        return Series(
            axis, name, "weight updates", tuple(sizes),
            lambda size: _per_weight(make(size), shape(size)),
            lambda size: _limit_per_weight(shape(size)), lambda size: shape(size)[3],
        )  # fmt: skip

    def short(size: int) -> Contender:
        return _per_coordinate(first_step.ours(100, 1, size, streams=4 * threads, threads=threads), 100)

    def brief(size: int) -> Contender:
        return _per_weight(training.ours(1000, 32, size, threads=threads), (N, 1000, 32, threads))

    powers = tuple(1 << p for p in range(13))
    return [
        first("threads", "first_step, n = 100, m = 1", counts, lambda t: (100, 1, t)),
        first("threads", "first_step, n = 100, m = 1024", counts, lambda t: (100, 1024, t)),
        sgd("threads", "sgd, width 1,000 x 32", counts, lambda t: (N, 1000, 32, t)),
        sgd("threads", "sgd, width 50,000 x 1", counts, lambda t: (N, 50_000, 1, t)),
        sgd("students", "sgd, width 100", powers[:9], lambda r: (N, 100, r, threads)),
        sgd("students", "sgd, width 1,000", powers[:7], lambda r: (N, 1000, r, threads)),
        sgd("width", "sgd, one student", (16, 64, 256, 1024, 2048, 4096, 16_384, 65_536), lambda m: (N, m, 1, threads)),
        sgd("width", "sgd, 32 students", (16, 64, 256, 512, 1024, 4096), lambda m: (N, m, 32, threads)),
        first("neurons", "first_step, n = 100", powers, lambda m: (100, m, threads)),
        first("n", "first_step, m = 1", (16, 32, 64, 128, 256, 512), lambda n: (n, 1, threads)),
        first("n", "first_step, m = 1024", (16, 32, 64, 128, 256, 512), lambda n: (n, 1024, threads)),
        sgd("n", "sgd, width 1,000 x 32", (16, 32, 64, 128, 256, 512), lambda n: (n, 1000, 32, threads)),
        Series(
            "samples", "first_step, n = 100, m = 1", "coordinates", tuple(1 << p for p in range(10, 25, 2)),
            short, lambda _: first_step_limit(100, 1).per(100), lambda _: threads,
        ),
        Series(
            "samples", "sgd, width 1,000 x 32", "weight updates", tuple(1 << p for p in range(4, 14, 2)),
            brief, lambda _: _limit_per_weight((N, 1000, 32, threads)), lambda _: threads,
        ),
    ]  # fmt: skip


def _per_weight(contender: Contender, shape: tuple[int, int, int, int]) -> Contender:
    """The same in updates of a weight of the first layer, so that widths and n can be compared."""
    n, width, _, _ = shape
    return Contender(contender.name, contender.run, contender.work * width * (n + 1))


def _limit_per_weight(shape: tuple[int, int, int, int]) -> Limit:
    n, width, _, _ = shape
    return sgd_limit(n, width).per(width * (n + 1))


def _per_coordinate(contender: Contender, n: int) -> Contender:
    """The same in coordinates of pairs of a sample and a neuron, so that n can be compared."""
    return Contender(contender.name, contender.run, contender.work * n)


def measure(series: Series, machines: dict[int, Machine], rounds: int) -> Curve:
    """All sizes in turns."""
    times = interleave([series.make(size) for size in series.sizes], rounds)
    points = []
    for size, of_size in zip(series.sizes, times, strict=True):
        median, low, high = spread(of_size)
        machine = machines.get(series.threads(size))
        over = None if machine is None else median / series.limit(size).nanoseconds(machine)
        points.append(Point(size, Spread(1e9 / median, 1e9 / high, 1e9 / low), over))
    return Curve(series.axis, series.name, series.unit, points)


def markdown(curves: Sequence[Curve]) -> str:
    """One line a size."""
    heads = "| along | what | size | per second | of the best | × the limit |"
    lines = [heads, "|" + " --- |" * 6]
    for curve in curves:
        for at, (point, share) in enumerate(zip(curve.points, curve.shares, strict=True)):
            size = f"**{point.size:,}**" if at == curve.saturated else f"{point.size:,}"
            over = "" if point.over_limit is None else f"{point.over_limit:.2f}"
            rate = f"{point.throughput.median:.3g} [{point.throughput.low:.3g}, {point.throughput.high:.3g}]"
            lines.append(
                f"| {curve.axis} | {curve.name} | {size} | {rate} {curve.unit} | {share:.2f} | {over} |"
            )
    return "\n".join(lines)


def draw(axes: Axes, curves: Sequence[Curve], axis: str) -> None:
    """Throughput, as a share of the best of its curve, against the size; a ring where it is saturated."""
    shown = [curve for curve in curves if curve.axis == axis]
    for index, curve in enumerate(shown):
        sizes = [point.size for point in curve.points]
        shares = curve.shares
        axes.plot(
            sizes,
            shares,
            marker=MARKERS[index],
            color=COLOURS[index],
            markersize=4,
            linewidth=1,
            label=curve.name,
        )
        at = curve.saturated
        axes.plot(sizes[at], shares[at], "o", markersize=11, markerfacecolor="none", color=COLOURS[index])
    axes.set_xscale("log", base=2)
    axes.set_ylim(0, 1.08)
    axes.set_xlabel(axis)
    axes.set_ylabel("throughput, of the best")
    axes.grid(True, linewidth=0.4, alpha=0.5)
    if shown:
        axes.legend(fontsize=7, loc="best")
    else:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", va="center")


def parser() -> Parser:
    """The command's options."""
    return common_parser("python -m benchmarks.scaling", __doc__, rounds=7, out="scaling.json", parts=PANELS)


def run(arguments: Sequence[str]) -> int:
    """Measures and shows.

    Raises:
        SimError: an option or a file is not allowed.
    """
    given = parser().parse_args(arguments)
    wanted, threads = checked(given, PANELS, ("",))
    chosen = [series for series in all_series(threads, given.seconds) if series.axis in wanted]
    counts = sorted({series.threads(size) for series in chosen for size in series.sizes})
    live = kernels.status().live
    machines = {count: calibrate(live, count) for count in counts} if kernels.status().levels else {}
    curves = []
    for number, series in enumerate(chosen, 1):
        print(f"{number} of {len(chosen)}: {series.axis}, {series.name}", file=sys.stderr, flush=True)
        curves.append(measure(series, machines, given.rounds))
    found: dict[str, Any] = table.result(machines.get(threads), [], given.rounds, threads, "scaling")
    found["curves"] = [asdict(curve) for curve in curves]
    keep(found, given.out)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        print(f"\n{table.heading(found)} Bold: saturated from here on.\n\n{markdown(curves)}\n")
    save_figure(
        lambda figure: _draw_all(figure, curves),
        (12, 7),
        given.out,
        "",
        f"{table.heading(found)} Rings: the first size within 10 % of the best.",
    )
    return 0


def _draw_all(figure: Figure, curves: Sequence[Curve]) -> None:
    for axes, axis in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
        draw(axes, curves, axis)


if __name__ == "__main__":
    sys.exit(run_main(run, sys.argv[1:]))
