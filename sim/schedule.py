"""Schedules: what supervises the student's first step.

One small class a schedule. A schedule whose labels have the same law in every replicate states its *target*;
one whose teacher is drawn anew in each replicate builds it from the replicate's teacher stream.

The students' weights are uniform signs, so flipping an input coordinate everywhere changes no law: teachers
with equal coefficients therefore take all their signs to be +1.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, final, get_args

from sim.errors import SimError
from theory.targets import EqualTeacher, Labels, LeakyTeacher, LowDegree, Parity, Target, leaky_error

LABELS: tuple[Labels, ...] = get_args(Labels)
TEACHERS = ("equal", "phase-1", "phase-1-projected")
MAX_TEACHER_WIDTH = 4096


class Schedule(ABC):
    """What the student sees. Concrete schedules are frozen dataclasses."""

    name: ClassVar[str]

    @abstractmethod
    def target(self, n: int, k: int) -> Target | None:
        """The law of the labels, or None where every replicate draws a teacher of its own."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """All that changes the outcome, as JSON values."""

    @abstractmethod
    def label(self) -> str:
        """Short name for tables and figures; distinct for distinct parameters."""

    @final
    def spec(self) -> dict[str, Any]:
        """The schedule's part of a cell's identity."""
        return {"name": self.name, **self.parameters()}


@final
@dataclass(frozen=True, slots=True)
class CrossEntropy(Schedule):
    """Labels are the parity itself."""

    name: ClassVar[str] = "cross-entropy"

    def target(self, n: int, k: int) -> Target:
        """Parity of the support."""
        return Parity(k)

    def parameters(self) -> dict[str, Any]:
        """No parameters."""
        return {}

    def label(self) -> str:
        """The schedule's name."""
        return self.name


@final
@dataclass(frozen=True, slots=True)
class OneShot(Schedule):
    """Labels come from the final teacher, which errs: with probability n^(−c) it still gives the hard label of
    the intermediate teacher with equal coefficients, otherwise the parity.

    Attributes:
        exponent: c > 0, or None for a teacher without error.
        labels: `hard` draws ±1 labels; `logits` gives their conditional mean, a real number.
    """

    exponent: Fraction | None
    labels: Labels = "hard"
    name: ClassVar[str] = "one-shot"

    def __post_init__(self) -> None:
        c = self.exponent
        if c is not None and not (0 < c <= 16 and c.denominator <= 1000):
            raise SimError(
                f"teacher error exponent {c} is not allowed: give 0 < c <= 16 of denominator at most 1000, or inf"
            )
        checked_labels(self.labels)

    def target(self, n: int, k: int) -> Target:
        """The leaky teacher with error n^(−c)."""
        if self.exponent is None:
            return Parity(k)
        return LeakyTeacher(k, leaky_error(n, self.exponent), (1,) * k, self.labels)

    def parameters(self) -> dict[str, Any]:
        """Exponent and kind of labels."""
        return {
            "teacher_error": "inf" if self.exponent is None else str(self.exponent),
            "labels": self.labels,
        }

    def label(self) -> str:
        """For example `one-shot c=2`."""
        text = "one-shot"
        if self.exponent is not None:
            short = f"{float(self.exponent):g}"
            text += f" c={short if Fraction(short) == self.exponent else self.exponent}"
        return text if self.labels == "hard" else f"{text} {self.labels}"


@final
@dataclass(frozen=True, slots=True)
class Progressive(Schedule):
    """Labels come from an intermediate teacher.

    Attributes:
        teacher: `equal`: F = Σ_{i∈S} x_i, the idealised checkpoint at the phase transition; `phase-1`: the
            exact teacher after Algorithm 1's first step, with its leakage off the support; `phase-1-projected`:
            the same with the leakage dropped.
        labels: `logits` or `hard` (their sign).
        teacher_width: neurons of the phase-1 teacher, even; ignored by `equal`, where it must be 0.
    """

    teacher: str = "equal"
    labels: Labels = "logits"
    teacher_width: int = 0
    name: ClassVar[str] = "progressive"

    def __post_init__(self) -> None:
        if self.teacher not in TEACHERS:
            raise SimError(f"teacher {self.teacher!r} is unknown: use one of {', '.join(TEACHERS)}")
        checked_labels(self.labels)
        if self.teacher == "equal":
            if self.teacher_width != 0:
                raise SimError(
                    f"teacher width {self.teacher_width} has no effect on the equal teacher: leave it out"
                )
        elif self.teacher_width % 2 or not 2 <= self.teacher_width <= MAX_TEACHER_WIDTH:
            raise SimError(
                f"teacher width {self.teacher_width} is not allowed: give an even number from 2 to {MAX_TEACHER_WIDTH}"
            )

    def target(self, n: int, k: int) -> Target | None:
        """The equal teacher, or None for the phase-1 teachers, which are drawn anew in each replicate."""
        return EqualTeacher((1,) * k, self.labels) if self.teacher == "equal" else None

    def parameters(self) -> dict[str, Any]:
        """Teacher, kind of labels and, where it matters, the teacher's width."""
        width = {} if self.teacher == "equal" else {"teacher_width": self.teacher_width}
        return {"teacher": self.teacher, "labels": self.labels, **width}

    def label(self) -> str:
        """For example `progressive`, `progressive hard`, `progressive phase-1 m=256`."""
        text = self.name if self.teacher == "equal" else f"{self.name} {self.teacher} m={self.teacher_width}"
        return text if self.labels == "logits" else f"{text} {self.labels}"


@final
@dataclass(frozen=True, slots=True)
class LowDegreeCurriculum(Schedule):
    """Labels are the explicit curriculum: the sum of all monomials of the support of degree 1 to `degree`."""

    degree: int = 1
    name: ClassVar[str] = "low-degree"

    def __post_init__(self) -> None:
        if self.degree < 1:
            raise SimError(f"degree {self.degree} is not allowed: give 1 <= degree <= k")

    def target(self, n: int, k: int) -> Target:
        """The low-degree target."""
        if self.degree > k:
            raise SimError(f"degree {self.degree} is larger than k = {k}: give 1 <= degree <= k")
        return LowDegree(k, self.degree)

    def parameters(self) -> dict[str, Any]:
        """The degree."""
        return {"degree": self.degree}

    def label(self) -> str:
        """For example `low-degree 1`."""
        return f"low-degree {self.degree}"


SCHEDULES: tuple[str, ...] = ("cross-entropy", "one-shot", "progressive", "low-degree")


def schedule_from_spec(spec: dict[str, Any]) -> Schedule:
    """The schedule whose `spec()` this is.

    Raises:
        SimError: the specification names no schedule that this version knows.
    """
    try:
        match spec["name"]:
            case "cross-entropy":
                return CrossEntropy()
            case "one-shot":
                error = spec["teacher_error"]
                return OneShot(None if error == "inf" else Fraction(error), checked_labels(spec["labels"]))
            case "progressive":
                return Progressive(
                    spec["teacher"], checked_labels(spec["labels"]), spec.get("teacher_width", 0)
                )
            case "low-degree":
                return LowDegreeCurriculum(spec["degree"])
            case unknown:
                raise SimError(f"schedule {unknown!r} is unknown: use one of {', '.join(SCHEDULES)}")
    except (KeyError, TypeError, ValueError) as error:
        raise SimError(f"schedule {spec!r} cannot be read: {error}") from error


def checked_labels(labels: str) -> Labels:
    """The kind of labels of this name; refuses others."""
    if labels not in LABELS:
        raise SimError(f"labels {labels!r} are unknown: use one of {', '.join(LABELS)}")
    return labels
