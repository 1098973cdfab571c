"""Cells of the online protocol: a teacher, or a kind of student with all that it is taught by."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch

from sim.cell import Cell, canonical_json
from sim.course import Course, StudentSpec, log_points
from sim.errors import SimError
from sim.parity import ParityTask
from sim.supervision import CrossEntropy
from sim.teacher_spec import TeacherSpec

NAME = "online"
VERSION = 2  # 1: blocks of 32 samples, so other rounding
DEVICES = ("cpu", "cuda")
MAX_SEGMENT = 10_000


@final
@dataclass(frozen=True)
class TeacherCell(Cell):
    """A teacher; it has one replicate, number 0, whose record is its curve.

    Attributes:
        protocol, n, k, seed: as in every cell; the last three are the teacher's.
        teacher: how it is trained; which of its checkpoints are kept is nothing to the cell.
        log_every: steps between points of its curve, a multiple of its segment.
        device: where it is trained, `cpu` or `cuda`; rounding depends on it.
    """

    protocol: str
    n: int
    k: int
    seed: int
    teacher: TeacherSpec
    log_every: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        _check_common(self, self.teacher)
        if self.log_every < 1 or self.log_every % self.teacher.segment:
            raise SimError(
                f"log_every {self.log_every} is not allowed: give a multiple of the segment, {self.teacher.segment}"
            )

    @staticmethod
    def of(protocol: str, teacher: TeacherSpec, log_every: int, device: str) -> "TeacherCell":
        """The cell of a teacher."""
        return TeacherCell(protocol, teacher.n, teacher.k, teacher.seed, teacher, log_every, device)

    def spec(self) -> dict[str, Any]:
        """All that changes the curve."""
        return {
            **_common(self),
            "role": "teacher",
            "teacher": _teacher_spec(self.teacher),
            "log_every": self.log_every,
        }

    @property
    def horizon(self) -> int:
        """Steps times batch."""
        return self.teacher.steps * self.teacher.batch

    @property
    def series(self) -> str:
        """For example `teacher width=5000 rate=0.01`."""
        return f"teacher {_teacher_label(self.teacher)}{_device_label(self.device)}"

    def label(self) -> str:
        """For example `n=50 k=4 seed=0 teacher width=5000 rate=0.01`."""
        return f"n={self.n} k={self.k} seed={self.seed} {self.series}"

    def log_points(self) -> tuple[int, ...]:
        """Steps of the points of the curve."""
        return log_points(self.log_every, self.teacher.steps)


@final
@dataclass(frozen=True)
class StudentCell(Cell):
    """Students that differ in their initial weights only; replicate r is the r-th of those.

    Attributes:
        protocol, n, k, seed: as in every cell; the last three are those of the task and of the teacher.
        teacher: who teaches; None iff the students see the parity only.
        student: what a student is and what supervises it.
        steps, batch, segment, log_every: of the students, see `sim.course.Course`.
        device: where they are trained, `cpu` or `cuda`; rounding depends on it.
    """

    protocol: str
    n: int
    k: int
    seed: int
    teacher: TeacherSpec | None
    student: StudentSpec
    steps: int
    batch: int
    segment: int
    log_every: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        _check_common(self, self.teacher)
        supervision = self.student.supervision
        if (self.teacher is None) != isinstance(supervision, CrossEntropy):
            has = "no teacher" if self.teacher is None else "a teacher"
            raise SimError(
                f"{supervision.label()} with {has} is not allowed: all but cross-entropy have a teacher"
            )
        self.course()
        supervision.check(self.steps, self.segment, kept_steps(self.teacher))

    def spec(self) -> dict[str, Any]:
        """All that changes the outcome."""
        return {
            **_common(self),
            "role": "student",
            "teacher": self.teacher and _teacher_spec(self.teacher),
            "student": self.student.spec(),
            "steps": self.steps,
            "batch": self.batch,
            "segment": self.segment,
            "log_every": self.log_every,
        }

    @property
    def horizon(self) -> int:
        """Steps times batch."""
        return self.steps * self.batch

    @property
    def series(self) -> str:
        """For example `one-shot τ=1 width=100 rate=0.01, teacher width=5000 rate=0.01`."""
        by = "" if self.teacher is None else f", teacher {_teacher_label(self.teacher)}"
        return f"{self.student.label()}{by}{_device_label(self.device)}"

    def label(self) -> str:
        """The series, after n, k and seed."""
        return f"n={self.n} k={self.k} seed={self.seed} {self.series}"

    def log_points(self) -> tuple[int, ...]:
        """Steps of the points of the curves."""
        return log_points(self.log_every, self.steps)

    def course(self) -> Course:
        """What the cell's students have in common with those that can be trained beside them."""
        task = ParityTask(self.n, self.k, self.seed)
        return Course(task, self.teacher, self.steps, self.batch, self.segment, self.log_every)

    def teacher_cell(self) -> TeacherCell | None:
        """The cell of the teacher, with the students' log points."""
        if self.teacher is None:
            return None
        every = -(-self.log_every // self.teacher.segment) * self.teacher.segment
        return TeacherCell.of(self.protocol, self.teacher, every, self.device)


OnlineCell = TeacherCell | StudentCell


def online_cell(cell: Cell) -> OnlineCell:
    """The cell, which must be of this protocol."""
    if not isinstance(cell, TeacherCell | StudentCell):
        raise TypeError(f"{cell!r} is no cell of the online protocol")
    return cell


def kept_steps(teacher: TeacherSpec | None) -> range:
    """Steps at which a teacher can have checkpoints."""
    return range(0) if teacher is None else range(0, teacher.steps + 1, teacher.segment)


def check_device(device: str) -> None:
    """Refuse a device on which nothing can be trained on this machine.

    Raises:
        SimError: there is none of that name, or not here.
    """
    if device not in DEVICES:
        raise SimError(f"device {device!r} is unknown: use one of {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise SimError(
            f"device {device!r} is not there: torch finds no CUDA, use cpu or a machine that has one"
        )


def without(spec: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A specification without some of its entries."""
    return {name: value for name, value in spec.items() if name not in names}


def setting(cell: OnlineCell) -> str:
    """Equal for cells that differ in their seed only."""
    return canonical_json([without(cell.spec(), "seed", "teacher"), teacher_setting(cell)])


def teacher_setting(cell: OnlineCell, *varied: str) -> str:
    """Equal for cells whose teachers differ in their seed, and what else is varied, only."""
    spec = {} if cell.teacher is None else without(_teacher_spec(cell.teacher), "seed", *varied)
    return canonical_json([cell.n, cell.k, cell.device, spec])


def teacher_key(teacher: TeacherSpec, device: str) -> str:
    """Equal for teachers whose checkpoints serve each other."""
    value = [teacher.trajectory(), teacher.steps, device]
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def cell_from_spec(spec: Mapping[str, Any]) -> OnlineCell:
    """The cell whose `spec()` this is; errors of any kind where there is none."""
    fields = dict(spec)
    role, teacher = fields.pop("role"), fields.pop("teacher")
    if teacher is not None:
        teacher = TeacherSpec.from_spec({**teacher, "checkpoint_every": teacher["steps"]})
    match role:
        case "teacher":
            return TeacherCell(teacher=teacher, **fields)
        case "student":
            return StudentCell(
                teacher=teacher, student=StudentSpec.from_spec(fields.pop("student")), **fields
            )
        case _:
            raise SimError(f"role {role!r} is unknown: use teacher or student")


def segment_of(log_every: int) -> int:
    """Steps of one call of the kernel: as many as between log points, or 10,000 where that is a multiple of it.

    Raises:
        SimError: neither is possible.
    """
    if log_every >= 1 and (log_every <= MAX_SEGMENT or log_every % MAX_SEGMENT == 0):
        return min(log_every, MAX_SEGMENT)
    raise SimError(
        f"log-every {log_every} is not allowed: give 1 to {MAX_SEGMENT} steps, or a multiple of {MAX_SEGMENT}"
    )


def _check_common(cell: OnlineCell, teacher: TeacherSpec | None) -> None:
    task = ParityTask(cell.n, cell.k, cell.seed)
    if teacher is not None and teacher.task != task:
        raise SimError(f"{teacher.label()} learns another task: give one of {task}")
    if cell.device not in DEVICES:
        raise SimError(f"device {cell.device!r} is unknown: use one of {', '.join(DEVICES)}")


def _common(cell: OnlineCell) -> dict[str, Any]:
    # Cells of the compiled code do not name it.
    device = {} if cell.device == "cpu" else {"device": cell.device}
    return {"protocol": cell.protocol, "n": cell.n, "k": cell.k, "seed": cell.seed, **device}


def _teacher_spec(teacher: TeacherSpec) -> dict[str, Any]:
    return without(teacher.spec(), "checkpoint_every")


def _teacher_label(teacher: TeacherSpec) -> str:
    text = f"width={teacher.width} rate={teacher.rate.label()}"
    return text if teacher.initialisation == "torch-default" else f"{text} {teacher.initialisation}"


def _device_label(device: str) -> str:
    return "" if device == "cpu" else f" {device}"
