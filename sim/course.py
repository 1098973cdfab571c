"""What students are given: the specification of a kind of student, and the course that all of a call take.

**Labels.** Logistic loss takes probabilities q of the label +1 (`sim.source`). The other losses take real targets: the
label's mean y = 2q − 1 (the parity itself, the teacher's sign, or tanh(f/2τ), mixed), or, with target `logit`, the
score α y + (1 − α) f/τ.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, final, get_args

from sim.errors import SimError
from sim.network import check_network
from sim.parity import ParityTask
from sim.rates import RateSchedule
from sim.supervision import Supervision
from sim.supervisions import supervision_from_spec
from sim.teacher_spec import TeacherSpec, check_run

Loss = Literal["logistic", "hinge", "correlation", "squared"]
LOSSES: tuple[Loss, ...] = get_args(Loss)
Target = Literal["label", "logit"]
TARGETS: tuple[Target, ...] = get_args(Target)
MIN_TEMPERATURE = 1e-6
"""For logits as targets: float32 holds them then."""


def log_points(every: int, steps: int) -> tuple[int, ...]:
    """Steps of the points of a curve: the multiples of `every`, and the last step."""
    return (*range(every, steps, every), steps)


@final
@dataclass(frozen=True)
class StudentSpec:
    """A kind of student and how it is trained.

    Attributes:
        width: hidden neurons m.
        rate: learning rate of each step.
        supervision: what labels it sees.
        initialisation: `torch-default` or `symmetric`.
        loss: `logistic`, `hinge`, `correlation` or `squared`.
        target: what losses other than the logistic take for y, see the module: `label`, or `logit` (τ ≥ 10^−6).
        decay: weight decay λ ≥ 0: parameters are multiplied by 1 − ηλ at each step.
        dtype: `float32` or `float64`.

    Raises:
        SimError: a value is not allowed.
    """

    width: int
    rate: RateSchedule
    supervision: Supervision
    initialisation: str = "torch-default"
    loss: str = "logistic"
    target: str = "label"
    decay: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_network(self.initialisation, self.width, self.dtype)
        if self.loss not in LOSSES:
            raise SimError(f"loss {self.loss!r} is unknown: give one of {', '.join(LOSSES)}")
        if self.target not in TARGETS:
            raise SimError(f"target {self.target!r} is unknown: give one of {', '.join(TARGETS)}")
        if self.target == "logit" and self.loss == "logistic":
            raise SimError(
                "target 'logit' is not for the logistic loss, which takes probabilities: give 'label'"
            )
        heat = [getattr(self.supervision, name, 1.0) for name in ("temperature", "start", "end")]
        if self.target == "logit" and min(heat) < MIN_TEMPERATURE:
            raise SimError(
                f"target 'logit' divides by temperature {min(heat)}: give {MIN_TEMPERATURE:g} or more, or 'label'"
            )
        if not 0 <= self.decay < math.inf:
            raise SimError(f"weight decay {self.decay} is not allowed: give a finite number, at least 0")

    def spec(self) -> dict[str, Any]:
        """All fields, as JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, "rate": self.rate.spec(), "supervision": self.supervision.spec()}

    def label(self) -> str:
        """One line for people; distinct for distinct specifications."""
        unusual = [
            f"{f.name}={getattr(self, f.name)}"
            for f in fields(self)[3:]
            if getattr(self, f.name) != f.default
        ]
        return " ".join([self.supervision.label(), f"width={self.width} rate={self.rate.label()}", *unusual])

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> "StudentSpec":
        """The student whose `spec()` this is.

        Raises:
            SimError: the specification does not describe one.
        """
        try:
            rate, supervision = (
                RateSchedule.from_spec(spec["rate"]),
                supervision_from_spec(spec["supervision"]),
            )
            return StudentSpec(**{**spec, "rate": rate, "supervision": supervision})
        except (KeyError, TypeError) as error:
            raise SimError(f"student {dict(spec)} cannot be read: {error}") from error


@final
@dataclass(frozen=True)
class Course:
    """What the students of a call have in common.

    Attributes:
        task: the parity and its samples.
        teacher: of the same task; None where all students see the parity.
        steps: steps of every student, a multiple of the segment.
        batch: samples a step.
        segment: steps of one call of the kernel, counted from step 0; rounding depends on it, supervision acts at its
            ends only.
        log_every: steps between log points, a multiple of the segment; the last step is always one.
        stream: number of the stream of `student data` that they see.

    Raises:
        SimError: a value is not allowed.
    """

    task: ParityTask
    teacher: TeacherSpec | None
    steps: int
    batch: int = 1
    segment: int = 10_000
    log_every: int = 100_000
    stream: int = 0

    def __post_init__(self) -> None:
        if self.teacher is not None and self.teacher.task != self.task:
            raise SimError(f"{self.teacher.label()} learns another task: give one of {self.task}")
        check_run(self.batch, self.segment, steps=self.steps, log_every=self.log_every)
        if not 0 <= self.stream < 1 << 63:
            raise SimError(f"stream {self.stream} is not allowed: give 0 to 2^63 − 1")

    def spec(self) -> dict[str, Any]:
        """All that changes a record besides the student, as JSON values."""
        teacher = self.teacher
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "task": self.task.spec(),
            # Which checkpoints are kept changes nothing; which one is the final one does.
            "teacher": teacher and {"trajectory": teacher.trajectory(), "final": teacher.steps},
        }

    def checkpoints(self, supervisions: Iterable[Supervision]) -> tuple[int, ...]:
        """Steps of all checkpoints of the teacher that these may ask for, increasing: they have to be there."""
        if self.teacher is None:
            return ()
        final_step = self.teacher.steps
        return tuple(sorted({c for s in supervisions for c in s.checkpoints(self.steps, final_step)}))
