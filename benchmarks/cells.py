"""The cases of the default grid: one replicate of a cell of `python -m sim.grid --n 50..200`, as a worker runs it.

The limit is the kernel's, on the cell's samples: what is above it is the kernel's own distance and the grid's overhead.
"""

from dataclasses import replace
from functools import cache

from benchmarks.case import Case, Limit
from benchmarks.limits import first_step_limit
from benchmarks.side_by_side import Contender
from sim.cell import FirstStepCell
from sim.grid import build_parser
from sim.options import GridOptions
from sim.plan import plan_cells
from sim.protocol.base import Means, Part
from sim.protocol.first_step import FirstStep
from sim.schedule import Schedule

N = 50, 100
"""Larger cells make the same calls, on up to 9 times as many samples."""


@cache
def options() -> GridOptions:
    """Of the default grid, up to n = 100."""
    given = build_parser().parse_args(["run", "--n", f"{N[0]}..{N[-1]}"])
    return GridOptions.from_arguments(given)


@cache
def planned(n: int, k: int) -> dict[Schedule, FirstStepCell]:
    """Cells of the default grid; their bounds are what takes time."""
    return {cell.schedule: cell for cell in plan_cells(replace(options(), n=(n,), k=(k,)))}


def ours(cell: FirstStepCell, threads: int, seconds: float) -> Contender:
    """As many replicates as take about that long."""
    replicates = max(threads, min(64, int(seconds / (2e-4 + cell.samples * 1e-11 * cell.n))))
    part = Part(cell, tuple(range(replicates)))

    def run() -> object:
        return FirstStep().run([part], Means(threads), lambda share: None)

    return Contender(cell.label(), run, replicates)


def cases(threads: int, seconds: float = 0.1) -> list[Case]:
    """A case for each cell."""

    def case(n: int, k: int, schedule: Schedule) -> Case:
        def limit() -> Limit:
            return first_step_limit(n, 1).per(1 / planned(n, k)[schedule].samples)

        return Case(
            "default grid",
            f"n = {n}, k = {k}, {schedule.label()}",
            "replicate",
            lambda: ours(planned(n, k)[schedule], threads, seconds),
            limit=limit,
        )

    return [case(n, k, s) for k in options().k for s in options().schedule_list(k) for n in N]
