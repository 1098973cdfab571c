"""The record of a student, as it grows and when it is read.

**Measured** since the log point before, on each sample before the step that learns from it: accuracy against the parity
(a student says +1 where its logit is above 0), agreement of signs with the teacher in force (where a logit of 0 counts
as +1), mean loss against the labels seen; and at log points the accuracy on the task's held-out set.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sim.course import Course, StudentSpec
from sim.source import History, Source
from theory.output import finite

OK, DIVERGED = "OK", "DIVERGED"
COLUMNS = ("accuracy", "agreement", "loss", "held_out")

Payload = dict[str, Any]


class StudentRecord:
    """One student but for its weights: where it stands with its supervision, and what was measured.

    Args:
        spec: of the student.
        replicate: its number.
        course: that it takes.
    """

    def __init__(self, spec: StudentSpec, replicate: int, course: Course) -> None:
        self.spec, self.replicate = spec, replicate
        self.history = History(course.steps, course.batch)
        self.diverged_at: int | None = None
        self.curve: dict[str, list[float | None]] = {name: [] for name in COLUMNS}
        self.checkpoints: list[list[int]] = []
        self.correct = self.agreed = 0
        self.loss = 0.0

    def plan(self, step: int, teacher_steps: Sequence[int]) -> Source:
        """The source of the segment from `step` on, which is taken down."""
        source = self.spec.supervision.plan(step, self.history, teacher_steps)
        before, total = self.history, self.history.total
        if before.source is None or source.checkpoint != before.source.checkpoint:
            self.history = History(total, before.batch, source)
            if source.checkpoint is not None:
                self.checkpoints.append([step, source.checkpoint])
        else:
            self.history = History(total, before.batch, source, before.agreed)
        return source

    def measure(self, steps: int, correct: int, agreed: int, loss: float) -> None:
        """Add what a segment of so many steps showed."""
        self.correct, self.agreed, self.loss = self.correct + correct, self.agreed + agreed, self.loss + loss
        if self.spec.supervision.adaptive:
            h = self.history
            self.history = History(h.total, h.batch, h.source, (*h.agreed, (steps, agreed)))

    def log(self, samples: int, held_out: float) -> None:
        """Close the window of so many samples before a log point."""
        taught = self.history.source is not None and self.history.source.checkpoint is not None
        values = (
            self.correct / samples,
            self.agreed / samples if taught else None,
            finite(self.loss / samples),
            held_out,
        )
        for name, value in zip(COLUMNS, values if self.diverged_at is None else (None,) * 4, strict=True):
            self.curve[name].append(value)
        self.correct = self.agreed = 0
        self.loss = 0.0

    def state(self) -> dict[str, Any]:
        """All that changes, as JSON values."""
        source = self.history.source
        return {
            "source": source and [source.checkpoint, source.temperature, source.truth],
            "agreed": [list(pair) for pair in self.history.agreed],
            "diverged_at": self.diverged_at,
            "curve": self.curve,
            "checkpoints": self.checkpoints,
            "window": [self.correct, self.agreed, finite(self.loss)],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state()`."""
        source = None if state["source"] is None else Source(*state["source"])
        agreed = tuple((steps, signs) for steps, signs in state["agreed"])
        self.history = History(self.history.total, self.history.batch, source, agreed)
        self.diverged_at = state["diverged_at"]
        self.curve = {name: state["curve"][name] for name in COLUMNS}  # in this order, whatever the file's is
        self.checkpoints = state["checkpoints"]
        self.correct, self.agreed, loss = state["window"]
        self.loss = math.inf if loss is None else loss

    def payload(self, log_points: Sequence[int]) -> Payload:
        """The finished student's record."""
        status = OK if self.diverged_at is None else DIVERGED
        return record(status, self.diverged_at, self.history.batch, log_points, self.curve, self.checkpoints)


def record(
    status: str,
    diverged_at: int | None,
    batch: int,
    steps: Sequence[int],
    curve: Mapping[str, Sequence[float | None]],
    checkpoints: Iterable[Sequence[int]] = (),
) -> Payload:
    """A record, as JSON values; see `sim.student.train_students`.

    Args:
        status: of the whole run.
        diverged_at: step, or None.
        batch: samples a step.
        steps: of the log points.
        curve: a value for each log point by column; a column that is left out has none.
        checkpoints: pairs of the steps of student and teacher.
    """
    return {
        "status": status,
        "diverged_at": diverged_at,
        "batch": batch,
        "steps": list(steps),
        **{name: list(curve.get(name, [None] * len(steps))) for name in COLUMNS},
        "checkpoints": [list(pair) for pair in checkpoints],
    }


def samples_to_reach(
    payload: Mapping[str, Any], thresholds: Iterable[float], *, column: str = "held_out"
) -> list[int | None]:
    """Samples after which a student first was that accurate, rounded up to a log point; None if it never was.

    Args:
        payload: a record of `train_students`.
        thresholds: accuracies in [0, 1].
        column: `held_out`, or `accuracy`, which is a mean over the samples since the log point before.

    >>> record = {"batch": 2, "steps": [10, 20, 30], "held_out": [0.5, 0.9, None]}
    >>> samples_to_reach(record, [0.5, 0.75, 0.95])
    [20, 40, None]
    """
    points = [(s, a) for s, a in zip(payload["steps"], payload[column], strict=True) if a is not None]
    return [
        next((step * int(payload["batch"]) for step, accuracy in points if accuracy >= threshold), None)
        for threshold in thresholds
    ]
