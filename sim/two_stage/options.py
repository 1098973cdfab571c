"""The options of a two-stage grid, checked, and its cells."""

import argparse
from dataclasses import dataclass
from fractions import Fraction
from typing import final

from sim.cell import Cell
from sim.errors import SimError
from sim.protocol.base import Json, Wanted
from sim.ranges import parse_count, parse_list, parse_number, parse_whole, shown
from sim.schedule import Progressive, Schedule
from sim.step_options import PHASE_ONE_SAMPLES, StepOptions, common_arguments, or_default
from sim.two_stage.cell import (
    MAX_SECOND,
    STUDENTS,
    TwoStageCell,
    check_dead_zone,
    check_width,
    two_stage_cell,
)
from sim.two_stage.theory import check_losses, dead_zone_of, first_horizon, second_horizon

TAG = "two-stage/1"
DEFAULT_WIDTH = 64
BIASES_SAMPLES, BIASES_SECOND = 2**20, 2**17
"""Horizons of students with biases unless they are given; phase-1 teachers have that of first steps, and the longer one
for the second stage: unequal coefficients leave a small margin."""


@final
@dataclass(frozen=True, kw_only=True)
class TwoStageOptions(StepOptions):
    """What `python -m sim.grid --protocol two-stage` runs; every value is checked when the object is made.

    Attributes:
        samples: the horizon of every first stage; None for what the bounds ask.
        second: that of every second stage; None for what the bounds ask.
        losses: the ε to be reached, as loss and as error, decreasing.
        student: one of `sim.two_stage.cell.STUDENTS`.
        width: neurons of students with biases; None for 64.
        dead_zone: λ of signed students; None for the rule of `sim.two_stage.theory.dead_zone_of`.
    """

    losses: tuple[Fraction, ...]
    student: str
    second: int | None
    width: int | None
    dead_zone: Fraction | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.student not in STUDENTS:
            raise SimError(f"student {shown(self.student)} is unknown: use one of {', '.join(STUDENTS)}")
        signed = self.student == "signed"
        if self.dead_zone is not None and not signed:
            raise SimError(
                f"--dead-zone {self.dead_zone} has no effect on student {self.student}: it needs student signed"
            )
        if self.width is not None and signed:
            raise SimError(f"--width {self.width} has no effect on student signed: it needs student biases")
        if self.dead_zone is not None:
            check_dead_zone(self.student, self.dead_zone)
        if self.width is not None:
            check_width(self.student, self.width)
        if self.second is not None and not 1 <= self.second <= MAX_SECOND:
            raise SimError(f"second {self.second} is not allowed: give 1 to {MAX_SECOND}")
        check_losses(self.losses, self.k, self.student)
        for k in self.k:
            if k % 2:
                raise SimError(
                    f"k = {k} is odd: units without bias have no signal in the first step, or one from ties only; "
                    "give an even k"
                )
            self.schedule_list(k)
            for n in self.n:
                if n == k:
                    raise SimError(f"n = {n} equals k: the first step has nothing to find; give n > k")

    @staticmethod
    def from_arguments(given: argparse.Namespace) -> "TwoStageOptions":
        """Options from the command line; what was not given is None there."""
        number = "give one such as 1/4 or 0.01"
        losses = [
            parse_number(text, "--loss", "give losses such as 0.1,0.01")
            for text in parse_list(or_default(given.loss, "0.1,0.01"), "--loss")
        ]
        return TwoStageOptions(
            **common_arguments(given, n="51..201", replicates=128),
            losses=tuple(sorted(set(losses), reverse=True)),
            student=or_default(given.student, STUDENTS[0]),
            second=None if given.second is None else parse_count(given.second, "--second"),
            width=None if given.width is None else parse_whole(given.width, "--width"),
            dead_zone=None
            if given.dead_zone is None
            else parse_number(given.dead_zone, "--dead-zone", number),
        )

    def wanted(self) -> list[Wanted]:
        """The cells, in the order k, schedule, n."""
        return [
            Wanted(self._cell(n, k, schedule), self.replicates)
            for k in self.k
            for schedule in self.schedule_list(k)
            for n in self.n
        ]

    def theory(self, cell: Cell, replicates: int) -> Json:
        """Bounds of both stages and of totals."""
        from sim.two_stage import theory

        return theory.theory_of(two_stage_cell(cell), self.delta, self.losses, replicates)

    def _cell(self, n: int, k: int, schedule: Schedule) -> TwoStageCell:
        signed = self.student == "signed"
        return TwoStageCell(
            protocol=TAG,
            n=n,
            k=k,
            schedule=schedule,
            student=self.student,
            dead_zone=(self.dead_zone or dead_zone_of(n, k, schedule)) if signed else None,
            width=0 if signed else or_default(self.width, DEFAULT_WIDTH),
            first=self.samples or self._first(n, k, schedule),
            second=self.second or self._second(k, schedule),
            resolution=self.resolution,
            seed=self.seed,
        )

    def _second(self, k: int, schedule: Schedule) -> int:
        """T_h that was not given."""
        if self.student == "signed":
            return second_horizon(k, min(self.losses), self.delta)
        drawn = isinstance(schedule, Progressive) and schedule.teacher != "equal"
        return BIASES_SAMPLES if drawn else BIASES_SECOND

    def _first(self, n: int, k: int, schedule: Schedule) -> int:
        """B_h that was not given."""
        if isinstance(schedule, Progressive) and schedule.teacher != "equal":
            return PHASE_ONE_SAMPLES
        if self.student != "signed":
            return BIASES_SAMPLES
        target = schedule.target(n, k)
        assert target is not None
        if self.dead_zone not in (None, dead_zone_of(n, k, schedule)):
            raise SimError(
                f"no bound speaks of dead zone {self.dead_zone} for {schedule.label()} at n = {n}, k = {k}: give "
                f"--samples too, or leave --dead-zone out ({dead_zone_of(n, k, schedule)})"
            )
        return first_horizon(n, k, target, self.delta)
