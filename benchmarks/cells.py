"""The cases of the default grid: one replicate of a cell of `python -m sim.grid --n 50..200`, as a worker runs it.

The limit is the kernel's, on the cell's samples: what is above it is the kernel's own distance and the grid's overhead.
"""

from functools import cache

from benchmarks.case import Case
from benchmarks.limits import first_step_limit
from benchmarks.side_by_side import Contender
from sim.cell import FirstStepCell
from sim.grid import build_parser
from sim.options import GridOptions
from sim.plan import plan_cells
from sim.protocol.base import Means, Part
from sim.protocol.first_step import FirstStep


@cache
def default_cells() -> tuple[FirstStepCell, ...]:
    """The default grid's cells of n = 50 and 100: larger ones take the same calls, up to 9 times as many samples."""
    options = GridOptions.from_arguments(build_parser().parse_args(["run", "--n", "50..100"]))
    return tuple(plan_cells(options))


def ours(cell: FirstStepCell, replicates: int, threads: int) -> Contender:
    """Some replicates of the cell."""
    part = Part(cell, tuple(range(replicates)))

    def run() -> object:
        return FirstStep().run([part], Means(threads), lambda share: None)

    return Contender(cell.label(), run, replicates)


def cases(threads: int, seconds: float = 0.1) -> list[Case]:
    """A case for each cell."""

    def case(cell: FirstStepCell) -> Case:
        replicates = max(threads, min(64, int(seconds / (2e-4 + cell.samples * 1e-11 * cell.n))))
        return Case(
            "default grid",
            f"{cell.label()}, {cell.samples:.3g} samples",
            "replicate",
            lambda: ours(cell, replicates, threads),
            limit=first_step_limit(cell.n, 1).per(1 / cell.samples),
        )

    return [case(cell) for cell in default_cells()]
