"""Cells of the two-stage protocol, and the ladder of totals on which they are measured.

**Ladder.** For a number x of samples the student takes B = min(x, B_h) of them in the first stage and as many others,
T = min(x, T_h), in the second, N(x) = B + T in total; x runs over the record grid of max(B_h, T_h). It is nearly the
best split: whatever split (B', T') succeeds within the horizons, x = max(B', T') gives both stages at least as many
samples and takes at most 2 max(B', T'), less than twice B' + T'.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, final

from sim.cell import MAX_SAMPLES, Cell, StepCell, check_seed, check_shape
from sim.errors import SimError
from sim.ranges import record_grid
from sim.schedule import Schedule, schedule_from_spec
from theory.walsh import threshold_count

STUDENTS = ("signed", "biases")
MAX_WIDTH = 4096
MAX_SECOND = 2**32
"""A stream has 2^44 samples, but losses of so many students would take days."""


@final
@dataclass(frozen=True)
class TwoStageCell(StepCell):
    """A cell of the two-stage protocol. Its units have no bias in the first step: q = threshold_count(n, 0).

    Attributes:
        protocol, k, seed: as in every cell.
        n: dimension, k + 1 to 4095.
        schedule: what supervises the first step; the second stage is taught the parity under every schedule.
        student: `signed`: one direction u_i = sign(g_i) 1[|g_i| > λ] and k + 1 knots; `biases`: neurons that keep the
            gradient itself as weights, and random biases.
        dead_zone: λ > 0 of a signed student, None for one with biases.
        width: m, neurons of a student with biases, even; 0 for a signed one.
        first: B_h, the horizon of the first stage.
        second: T_h, that of the second.
        resolution: recorded sample counts per doubling, 1 to 16.
        q: threshold count of the units.
    """

    protocol: str
    n: int
    k: int
    schedule: Schedule
    student: str
    dead_zone: Fraction | None
    width: int
    first: int
    second: int
    resolution: int
    seed: int
    q: int = field(init=False)

    def __post_init__(self) -> None:
        check_shape(self.n, self.k)
        if self.n == self.k:
            raise SimError(f"n = {self.n} equals k: the first step has nothing to find; give n > k")
        if self.student not in STUDENTS:
            raise SimError(f"student {self.student!r} is unknown: use one of {', '.join(STUDENTS)}")
        check_dead_zone(self.student, self.dead_zone)
        check_width(self.student, self.width)
        for name, value, most in (("samples", self.first, MAX_SAMPLES), ("second", self.second, MAX_SECOND)):
            if not 1 <= value <= most:
                raise SimError(f"{name} {value} are not allowed: give 1 to {most}")
        if not 1 <= self.resolution <= 16:
            raise SimError(f"resolution {self.resolution} is not allowed: give 1 to 16 points per doubling")
        check_seed(self.seed)
        object.__setattr__(self, "q", threshold_count(self.n, 0))

    def spec(self) -> dict[str, Any]:
        """All fields but q; of dead zone and width the one that the student has."""
        own = (
            {"width": self.width} if self.dead_zone is None else {"dead_zone": rational_text(self.dead_zone)}
        )
        return {
            "protocol": self.protocol,
            "n": self.n,
            "k": self.k,
            "schedule": self.schedule.spec(),
            "student": self.student,
            **own,
            "first": self.first,
            "second": self.second,
            "resolution": self.resolution,
            "seed": self.seed,
        }

    @staticmethod
    def of_spec(spec: Mapping[str, Any]) -> "TwoStageCell":
        """The cell whose `spec()` this is; errors of any kind where there is none."""
        fields = dict(spec)
        schedule = schedule_from_spec(fields.pop("schedule"))
        text = fields.pop("dead_zone", None)
        dead_zone = None if text is None else Fraction(text)
        if text is not None and rational_text(dead_zone or Fraction(0)) != text:
            raise ValueError(f"dead zone {text!r} is not in lowest terms")
        width = fields.pop("width", 0)
        return TwoStageCell(schedule=schedule, dead_zone=dead_zone, width=width, **fields)

    @property
    def horizon(self) -> int:
        """B_h + T_h."""
        return self.first + self.second

    @property
    def series(self) -> str:
        """The schedule's label, and the student's where it is not the signed one."""
        label = self.schedule.label()
        return label if self.student == "signed" else f"{label}, biases m={self.width}"

    def label(self) -> str:
        """For example `n=51 k=4 progressive`."""
        return f"n={self.n} k={self.k} {self.series}"

    @cached_property
    def first_grid(self) -> tuple[int, ...]:
        """The numbers B of the first stage at which the student is looked at: those of the ladder, each once."""
        return record_grid(self.first, self.resolution)

    @cached_property
    def second_grid(self) -> tuple[int, ...]:
        """The numbers T of the second stage, likewise."""
        return record_grid(self.second, self.resolution)

    @cached_property
    def ladder(self) -> tuple[tuple[int, int], ...]:
        """(B, T) of every x of the ladder, their sum increasing."""
        return tuple(self.split(x) for x in record_grid(max(self.first, self.second), self.resolution))

    def split(self, x: int) -> tuple[int, int]:
        """(B, T) at x."""
        return min(x, self.first), min(x, self.second)

    @cached_property
    def totals(self) -> tuple[int, ...]:
        """N(x) = B + T of every x of the ladder, increasing."""
        return tuple(B + T for B, T in self.ladder)


def two_stage_cell(cell: Cell) -> TwoStageCell:
    """The cell, which must be of this protocol."""
    if not isinstance(cell, TwoStageCell):
        raise TypeError(f"{cell!r} is no cell of the two-stage protocol")
    return cell


def rational_text(value: Fraction) -> str:
    """A rational as `a/b`, in lowest terms."""
    return f"{value.numerator}/{value.denominator}"


def check_dead_zone(student: str, dead_zone: Fraction | None) -> None:
    """Refuse a dead zone that is not allowed, or that the student does not have."""
    if (dead_zone is None) != (student != "signed"):
        raise SimError(f"dead zone {dead_zone} does not fit student {student!r}: signed ones alone have one")
    if dead_zone is not None and not 0 < dead_zone < 1 << 20:
        raise SimError(f"dead zone {dead_zone} is not allowed: give a number above 0, such as 1/4")


def check_width(student: str, width: int) -> None:
    """Refuse a width that is not allowed, or that the student does not have."""
    if student == "signed":
        if width != 0:
            raise SimError(f"width {width} does not fit student 'signed': it has k + 1 neurons")
    elif width % 2 or not 2 <= width <= MAX_WIDTH:
        raise SimError(f"width {width} is not allowed: give an even number from 2 to {MAX_WIDTH}")
