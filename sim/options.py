"""The options of a first-step grid, checked, and the schedules and thresholds they stand for."""

import argparse
from dataclasses import dataclass
from fractions import Fraction
from typing import final

from sim.cell import Cell
from sim.errors import SimError
from sim.protocol.base import Json, Wanted
from sim.protocol.first_step import first_step_cell
from sim.ranges import parse_number
from sim.schedule import Progressive
from sim.step_options import StepOptions, common_arguments, or_default
from theory.walsh import suggested_bias, suggested_count, threshold_count


@final
@dataclass(frozen=True, kw_only=True)
class GridOptions(StepOptions):
    """What `python -m sim.grid --protocol first-step` runs; every value is checked when the object is made.

    Attributes:
        bias: the neurons' bias, or None for the one with the largest gap at each (n, k).
        samples: the horizon of every cell; None for what the bounds ask.
    """

    bias: Fraction | None

    def __post_init__(self) -> None:
        super().__post_init__()
        for k in self.k:
            phase_one = [
                s for s in self.schedule_list(k) if isinstance(s, Progressive) and s.teacher != "equal"
            ]
            for n in self.n:
                self.threshold(n, k)
                if phase_one and n == k:
                    raise SimError(f"n = {n} equals k: teacher {phase_one[0].teacher!r} needs n > k")

    @staticmethod
    def from_arguments(given: argparse.Namespace) -> "GridOptions":
        """Options from the command line; what was not given is None there."""
        bias = given.bias
        return GridOptions(
            **common_arguments(given, n="50..200", replicates=64),
            bias=None
            if bias == "best"
            else parse_number(or_default(bias, "0"), "--bias", "give one such as 0, 1/2 or best"),
        )

    def wanted(self) -> list[Wanted]:
        """The cells, in the order k, schedule, n."""
        from sim.plan import plan_cells

        return [Wanted(cell, self.replicates) for cell in plan_cells(self)]

    def theory(self, cell: Cell, replicates: int) -> Json:
        """Bounds and predictions."""
        from sim import plan

        return plan.theory_of(first_step_cell(cell), self.delta, replicates)

    def threshold(self, n: int, k: int) -> int:
        """The neurons' threshold count q at (n, k).

        Raises:
            SimError: the bias leaves no signal for an odd k.
        """
        if self.bias is None:
            return suggested_count(n, k)
        if k % 2 and abs(self.bias) < 1:
            raise SimError(
                f"k = {k} is odd and the bias is {self.bias}: the signal tau_(k-1) vanishes (n odd) or is left to "
                f"ties (n even); give an even k, or a bias that has a signal, such as --bias best "
                f"(b = {suggested_bias(n, k)} at n = {n})"
            )
        return threshold_count(n, self.bias)
