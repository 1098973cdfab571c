"""Supervision: which labels an online student sees, as objects.

A *supervision* says which source of labels (`sim.source`) is in force in each segment of the student's training. Here
are what all have in common and the parity alone; those with a teacher are in `sim.supervisions`.

`sim.schedule` has classes of the same names for another experiment: there a schedule is the *law* of the labels of a
student's first step, stated exactly so that theory can speak about it; here a supervision is a *rule in time* over a
trained teacher's checkpoints. Neither uses the other, and cells of different protocols hold one or the other.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

from sim.errors import SimError
from sim.source import PARITY, History, Source


@dataclass(frozen=True, slots=True)
class Supervision(ABC):
    """What the student sees when. Concrete supervisions are frozen dataclasses; their fields are their parameters."""

    name: ClassVar[str]
    adaptive: ClassVar[bool] = False
    """Whether `plan` reads `History.agreed`."""

    @abstractmethod
    def plan(self, step: int, history: History, teacher_steps: Sequence[int]) -> Source:
        """The source of the segment that begins at the student's step `step`.

        Args:
            step: steps taken so far.
            history: of the same student, up to `step`.
            teacher_steps: steps of the teacher's checkpoints, increasing; the last is the *final* checkpoint.

        Raises:
            SimError: a checkpoint that the rule names is not there.
        """

    @abstractmethod
    def checkpoints(self, steps: int, final: int) -> tuple[int, ...]:
        """Steps of all checkpoints that may be asked for in `steps` student steps, increasing.

        Args:
            steps: steps that the student takes in all.
            final: step of the teacher's final checkpoint.
        """

    @abstractmethod
    def label(self) -> str:
        """Short name for tables and figures; distinct for distinct parameters."""

    @property
    def cuts(self) -> tuple[int, ...]:
        """Numbers of student steps that have to be multiples of the segment: the rule acts at segments' ends only."""
        return ()

    @final
    def parameters(self) -> dict[str, Any]:
        """All that changes the outcome, as JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @final
    def spec(self) -> dict[str, Any]:
        """The supervision's part of a student's identity."""
        return {"name": self.name, **self.parameters()}

    @final
    def check(self, steps: int, segment: int, teacher_steps: Sequence[int]) -> None:
        """Refuse, before any work, what could not be carried out.

        Args:
            steps: steps that the student takes in all.
            segment: steps of a segment.
            teacher_steps: steps of the teacher's checkpoints, increasing; empty without a teacher.

        Raises:
            SimError: a switch would fall inside a segment, there is no teacher, or a checkpoint is not there.
        """
        for cut in self.cuts:
            if cut < steps and cut % segment:
                raise SimError(
                    f"{self.label()} switches after {cut} steps, inside a segment: give a multiple of {segment} steps"
                )
        if teacher_steps:
            for checkpoint in self.checkpoints(steps, teacher_steps[-1]):
                there(checkpoint, teacher_steps)
        elif not isinstance(self, CrossEntropy):
            raise SimError(f"{self.label()} has no teacher: give a teacher, or use cross-entropy")


@final
@dataclass(frozen=True, slots=True)
class CrossEntropy(Supervision):
    """Labels are the parity itself; no teacher."""

    name: ClassVar[str] = "cross-entropy"

    def plan(self, step: int, history: History, teacher_steps: Sequence[int]) -> Source:
        """The parity, always."""
        return PARITY

    def checkpoints(self, steps: int, final: int) -> tuple[int, ...]:
        """None."""
        return ()

    def label(self) -> str:
        """The supervision's name."""
        return self.name


@dataclass(frozen=True, slots=True)
class Taught(Supervision):
    """By a teacher, mixed with true labels: `truth` is their weight α, 0 to 1."""

    truth: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 <= self.truth <= 1:
            raise SimError(f"weight {self.truth} of the true labels is not allowed: give 0 to 1")
        self._real("truth")

    @final
    def _real(self, *names: str) -> None:
        """1 and 1.0 are to have one specification."""
        for name in names:
            object.__setattr__(self, name, float(getattr(self, name)))

    @final
    def _mixed(self) -> str:
        return f" α={number_text(self.truth)}" if self.truth else ""


@dataclass(frozen=True, slots=True)
class Distilled(Taught):
    """At one temperature τ, 0 ≤ τ < ∞; 0: hard labels. As a rule the checkpoint depends on the step only."""

    temperature: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        Taught.__post_init__(self)
        if not 0 <= self.temperature < math.inf:
            raise SimError(
                f"temperature {self.temperature} is not allowed: give 0 (hard labels) or more, and finite"
            )
        self._real("temperature")

    def plan(self, step: int, history: History, teacher_steps: Sequence[int]) -> Source:
        """The checkpoint of this step."""
        return self._source(self._at(step, teacher_steps[-1]), teacher_steps)

    def checkpoints(self, steps: int, final: int) -> tuple[int, ...]:
        """Those whose turn comes within `steps`."""
        return tuple(sorted({self._at(t, final) for t in range(0, steps, min(self.cuts, default=steps))}))

    @final
    def label(self) -> str:
        """Name, what is special, temperature or `hard`, weight of the true labels if any."""
        heat = f"τ={number_text(self.temperature)}" if self.temperature else "hard"
        return " ".join([self.name, *self._special(), heat]) + self._mixed()

    @final
    def _source(self, checkpoint: int, teacher_steps: Sequence[int]) -> Source:
        return Source(there(checkpoint, teacher_steps), self.temperature, self.truth)

    def _at(self, step: int, final: int) -> int:
        """The checkpoint in force at a student step; changes at multiples of `cuts` only."""
        return final

    def _special(self) -> tuple[str, ...]:
        return ()


def there(checkpoint: int, teacher_steps: Sequence[int]) -> int:
    """The checkpoint itself. Raises SimError if it is not among the teacher's steps."""
    if checkpoint not in teacher_steps:
        nearest = sorted(sorted(teacher_steps, key=lambda step: abs(step - checkpoint))[:2])
        raise SimError(
            f"the teacher has no checkpoint at step {checkpoint}: the nearest are at "
            f"{' and '.join(map(str, nearest))}; use them, or a --log-every that divides it"
        )
    return checkpoint


def at_least(low: int, what: str, value: int) -> None:
    """Raise SimError for a value below the least that is allowed."""
    if value < low:
        raise SimError(f"{what} {value} is not allowed: give {low} or more")


def count_text(steps: int) -> str:
    """Short and exact: 10.2M, 250k, 123."""
    if steps and steps % 100_000 == 0 and steps >= 1_000_000:
        whole, tenths = divmod(steps // 100_000, 10)
        return f"{whole}.{tenths}M" if tenths else f"{whole}M"
    return f"{steps // 1000}k" if steps and steps % 1000 == 0 else str(steps)


def number_text(value: float) -> str:
    """Short where that is exact."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
