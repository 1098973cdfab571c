"""The options of an online grid, checked, and the cells that they stand for."""

import argparse
from dataclasses import dataclass
from itertools import product
from typing import Any, final

from sim.cell import Cell
from sim.course import StudentSpec
from sim.errors import SimError
from sim.online.cell import NAME, VERSION, StudentCell, TeacherCell, check_device, segment_of
from sim.online.grammar import HEATED, SPACED, TAUGHT, parse_schedule, schedule_name
from sim.protocol.base import Json, Options, Wanted
from sim.ranges import parse_count, parse_list, parse_range, parse_real
from sim.rates import RateSchedule
from sim.step_options import MAX_REPLICATES
from sim.supervision import CrossEntropy, Supervision
from sim.supervisions import Progressive, TillSaturate, TwoShot
from sim.teacher_spec import TeacherSpec

PROTOCOL = f"{NAME}/{VERSION}"
MAX_CELLS = 10_000
NO_THEORY = "No bound speaks of networks trained online: they are measured, and held against nothing."
DEFAULT_SCHEDULES = "cross-entropy,one-shot,progressive"

_TEACHERS_OPTIONS = {
    "--teacher-width": "teacher_widths",
    "--teacher-lr": "teacher_rates",
    "--teacher-steps": "teacher_steps",
    "--teacher-init": "teacher_initialisation",
    "--mix": "mixes",
}


@final
@dataclass(frozen=True)
class OnlineOptions(Options):
    """What `python -m sim.grid --protocol online` runs; every value is checked when the object is made.

    The fast version is the default: n = 50, k = 4, a teacher of width 5,000 that comes from chance to 100 % between
    60,000 and 80,000 steps. None stands for a default, where giving the option has to be told from leaving it out.

    Attributes:
        n, k: values of the grid.
        schedules: texts as in `sim.online.grammar`.
        teacher_widths, teacher_rates, teacher_steps, teacher_initialisation: of the teachers.
        widths, rates, initialisation: of the students.
        temperatures: of the teacher's labels, 0 for hard ones.
        mixes: weights of the true labels.
        spacings: teacher steps between checkpoints.
        steps: of the students.
        batch: samples a step.
        log_every: steps between points of the curves.
        device: `cpu` or `cuda`.
        replicates: students of each cell, 1 to 100,000.
        seeds: each 0 to 2^63 − 1.
    """

    n: tuple[int, ...] = (50,)
    k: tuple[int, ...] = (4,)
    schedules: tuple[str, ...] = tuple(DEFAULT_SCHEDULES.split(","))
    teacher_widths: tuple[int, ...] | None = None
    teacher_rates: tuple[RateSchedule, ...] | None = None
    teacher_steps: int | None = None
    teacher_initialisation: str | None = None
    widths: tuple[int, ...] = (100,)
    rates: tuple[RateSchedule, ...] = (RateSchedule(0.01),)
    initialisation: str = "torch-default"
    temperatures: tuple[float, ...] | None = None
    mixes: tuple[float, ...] | None = None
    spacings: tuple[int, ...] | None = None
    steps: int = 400_000
    batch: int = 1
    log_every: int = 10_000
    device: str = "cpu"
    replicates: int = 6
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if not 1 <= self.replicates <= MAX_REPLICATES:
            raise SimError(f"replicates {self.replicates} are not allowed: give 1 to {MAX_REPLICATES}")
        segment = segment_of(self.log_every)
        for name, value in (("steps", self.steps), ("teacher-steps", self.teacher_steps)):
            if value is not None and (value < 1 or value % segment):
                raise SimError(
                    f"{name} {value} are not allowed: give a multiple of {segment}, the steps of one call of the kernel"
                    " (see log-every)"
                )
        for spacing in self.spacings or ():
            if spacing < 1 or spacing % segment:
                raise SimError(
                    f"checkpoints {spacing} apart are not allowed: give a multiple of {segment} steps"
                )
        self._check_that_options_act()
        self.wanted()

    @staticmethod
    def from_arguments(given: argparse.Namespace) -> "OnlineOptions":
        """Options from the command line; what was not given is None there."""
        read: dict[str, Any] = {
            "n": _map(given.n, lambda t: parse_range(t, "--n", default_step=50)),
            "k": _map(given.k, lambda t: parse_range(t, "--k")),
            "schedules": _map(given.schedule, lambda t: parse_list(t, "--schedule")),
            "teacher_widths": _map(given.teacher_width, lambda t: parse_range(t, "--teacher-width")),
            "teacher_rates": _map(given.teacher_lr, lambda t: _rates(t, "--teacher-lr")),
            "teacher_steps": _map(given.teacher_steps, lambda t: parse_count(t, "--teacher-steps")),
            "teacher_initialisation": given.teacher_init,
            "widths": _map(given.width, lambda t: parse_range(t, "--width")),
            "rates": _map(given.lr, lambda t: _rates(t, "--lr")),
            "initialisation": given.init,
            "temperatures": _map(given.temperature, _temperatures),
            "mixes": _map(given.mix, _mixes),
            "spacings": _map(given.checkpoints, lambda t: parse_range(t, "--checkpoints")),
            "steps": _map(given.steps, lambda t: parse_count(t, "--steps")),
            "batch": given.batch,
            "log_every": _map(given.log_every, lambda t: parse_count(t, "--log-every")),
            "device": given.device,
            "replicates": given.replicates,
            "seeds": _map(given.seed, lambda t: parse_range(t, "--seed")),
        }
        options = OnlineOptions(**{name: value for name, value in read.items() if value is not None})
        check_device(options.device)
        return options

    def wanted(self) -> list[Wanted]:
        """For each n, k and seed the teachers, each followed by its students; the students of the parity come first.

        Raises:
            SimError: a value is not allowed, or there are more than 10,000 cells.
        """
        cells: dict[Cell, int] = {}
        segment = segment_of(self.log_every)
        supervisions = self.supervisions()
        for k, n, seed in product(self.k, self.n, self.seeds):
            for teacher in (None, *self._teachers(n, k, seed, segment)):
                taught = [s for s in supervisions if isinstance(s, CrossEntropy) == (teacher is None)]
                if teacher is not None and taught:
                    cells[TeacherCell.of(PROTOCOL, teacher, self.log_every, self.device)] = 1
                for supervision in taught:
                    self._check_that_checkpoints_act(supervision)
                for supervision, width, rate in product(taught, self.widths, self.rates):
                    student = StudentSpec(width, rate, supervision, self.initialisation)
                    cell = StudentCell(
                        PROTOCOL, n, k, seed, teacher, student, self.steps, self.batch, segment, self.log_every,
                        self.device,
                    )  # fmt: skip
                    cells[cell] = self.replicates
                    if len(cells) > MAX_CELLS:
                        raise SimError(f"the grid has more than {MAX_CELLS} cells: give fewer values")
        return [Wanted(cell, replicates) for cell, replicates in cells.items()]

    def theory(self, cell: Cell, replicates: int) -> Json:
        """That there is none."""
        return no_theory()

    def supervisions(self) -> list[Supervision]:
        """What the schedules stand for, in the order given."""
        temperatures, mixes, spacings = (
            self.temperatures or (1.0,),
            self.mixes or (0.0,),
            self.spacings or (10_000,),
        )
        return [s for text in self.schedules for s in parse_schedule(text, temperatures, mixes, spacings)]

    def _teachers(self, n: int, k: int, seed: int, segment: int) -> list[TeacherSpec]:
        if all(schedule_name(text) not in TAUGHT for text in self.schedules):
            return []
        steps = self.teacher_steps or 400_000
        rates = self.teacher_rates or (RateSchedule(0.01),)
        return [
            TeacherSpec(
                n, k, width, rate, steps,
                # Which checkpoints are kept is decided by those who ask for them.
                checkpoint_every=steps,
                initialisation=self.teacher_initialisation or "torch-default", batch=self.batch, segment=segment,
                seed=seed,
            )
            for width, rate in product(self.teacher_widths or (5000,), rates)
        ]  # fmt: skip

    def _check_that_checkpoints_act(self, supervision: Supervision) -> None:
        """Refuse schedules of several checkpoints that would silently be of one."""
        if isinstance(supervision, TwoShot) and supervision.switch >= self.steps:
            raise SimError(
                f"schedule two-shot:{supervision.intermediate}:{supervision.switch} would never switch within"
                f" --steps {self.steps}: give fewer steps on the checkpoint, or more in all"
            )
        spacing, last = getattr(supervision, "every", 0), self.teacher_steps or 400_000
        if isinstance(supervision, Progressive | TillSaturate) and spacing >= last:
            raise SimError(
                f"--checkpoints {spacing} leave only the final one of --teacher-steps {last}: give fewer steps"
                " between them, or more in all"
            )

    def _check_that_options_act(self) -> None:
        """Refuse options that would silently do nothing."""
        names = {schedule_name(text) for text in self.schedules}
        acts = [
            (option, field, TAUGHT, "a schedule with a teacher")
            for option, field in _TEACHERS_OPTIONS.items()
        ]
        acts.append(("--temperature", "temperatures", HEATED, f"one of {', '.join(HEATED)}"))
        acts.append(("--checkpoints", "spacings", SPACED, f"one of {', '.join(SPACED)}"))
        for option, field, readers, needs in acts:
            if getattr(self, field) is not None and not names & {*readers}:
                raise SimError(
                    f"{option} has no effect with schedule {','.join(self.schedules)}: it needs {needs}"
                )


def no_theory() -> Json:
    """What is stored beside every cell."""
    return {"bounds": [], "statement": NO_THEORY}


def _map(text: Any, read: Any) -> Any:
    return None if text is None else read(text)


def _rates(text: str, name: str) -> tuple[RateSchedule, ...]:
    return tuple(dict.fromkeys(RateSchedule.parse(part) for part in parse_list(text, name)))


def _temperatures(text: str) -> tuple[float, ...]:
    parts = parse_list(text, "--temperature")
    allowed = "give temperatures such as 1,0.5; 0 or hard for hard labels"
    return tuple(
        dict.fromkeys(parse_real("0" if p == "hard" else p, "--temperature", allowed) for p in parts)
    )


def _mixes(text: str) -> tuple[float, ...]:
    parts = parse_list(text, "--mix")
    return tuple(dict.fromkeys(parse_real(part, "--mix", "give weights from 0 to 1") for part in parts))
