"""A small teacher and a course, students of every kind, and how they are trained anew."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from sim.artifacts import Artifacts
from sim.course import Course, StudentSpec
from sim.rates import RateSchedule
from sim.student import Students, discard_state, train_students
from sim.student_record import Payload
from sim.supervision import CrossEntropy, Supervision
from sim.supervisions import Annealed, OneShot, Progressive, Single, TillSaturate, TwoShot
from sim.teacher_spec import TeacherSpec

RATE = RateSchedule(0.05)
TEACHER = TeacherSpec(20, 3, 100, RATE, 3000, 500, segment=250, dtype="float64")
"""Learns its parity around step 1500."""

COURSE = Course(TEACHER.task, TEACHER, 1000, segment=250, log_every=500)


def spec(supervision: Supervision, **changed: Any) -> StudentSpec:
    return dataclasses.replace(StudentSpec(16, RATE, supervision), **changed)


def train(course: Course, students: Students, artifacts: Artifacts, **how: Any) -> list[dict[int, Payload]]:
    """Train anew, and keep nothing."""
    discard_state(course, students, artifacts)
    records = train_students(course, students, artifacts, **how)
    discard_state(course, students, artifacts)
    return records


def text(records: Any) -> str:
    return json.dumps(records, allow_nan=False)


CASES: list[tuple[StudentSpec, Callable[[int], tuple[int | None, float, float]]]] = [
    (spec(CrossEntropy()), lambda t: (None, 0, 0)),
    (spec(OneShot(temperature=2.0), decay=0.02), lambda t: (3000, 2.0, 0)),
    (spec(TwoShot(1000, 250, temperature=0.0, truth=0.25)), lambda t: (1000 if t < 250 else 3000, 0, 0.25)),
    (spec(Progressive(500, 250), width=10, rate=RateSchedule(0.05, "cosine", 0.1)),
     lambda t: (500 * (1 + t // 250), 1.0, 0)),
    (spec(Progressive(500, 250), rate=RateSchedule(0.02)), lambda t: (500 * (1 + t // 250), 1.0, 0)),
    (spec(Annealed(4.0, 1.0)), lambda t: (3000, 4.0 ** (1 - t // 250 / 3), 0)),
    (spec(Single(1500), loss="hinge", initialisation="symmetric"), lambda t: (1500, 1.0, 0)),
    (spec(Single(1500, temperature=0.0), loss="correlation", rate=RateSchedule(1e-3)), lambda t: (1500, 0, 0)),
    (spec(CrossEntropy(), loss="squared"), lambda t: (None, 0, 0)),
    (spec(Single(2000, temperature=4.0, truth=0.5), loss="squared", target="logit"), lambda t: (2000, 4.0, 0.5)),
]  # fmt: skip
"""A student, and by step its source: (checkpoint, τ, α)."""

MIXED: list[tuple[StudentSpec, list[int]]] = [
    (spec(CrossEntropy()), [0, 1]),
    (spec(OneShot(temperature=0.0)), [0]),
    (spec(OneShot(temperature=3.0), decay=0.01), [2]),
    (spec(Progressive(500, 250), rate=RateSchedule(0.02, "cosine")), [0, 3]),
    (spec(TillSaturate(every=1000, window=250, patience=1, gain=0.5)), [0]),  # moves on at step 500
    (spec(Annealed(4.0, 0.5), width=7), [0]),
    (spec(CrossEntropy(), loss="correlation", rate=RateSchedule(20.0)), [0]),  # diverges at once
]
