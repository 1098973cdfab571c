"""Specifications and courses of students: identity, refusals, the checkpoints that are needed."""

import dataclasses
import json
import math
from typing import Any

import pytest

from sim.course import StudentSpec
from sim.errors import SimError
from sim.parity import ParityTask
from sim.supervision import CrossEntropy
from sim.supervisions import Annealed, OneShot, Progressive, Single, TwoShot
from tests.sim.student_cases import CASES, COURSE, MIXED, TEACHER, spec, text


def test_specifications_round_trip_and_labels_are_distinct() -> None:
    kinds = [student for student, _ in (*CASES, *MIXED)]
    kinds += [spec(CrossEntropy(), dtype="float64"), spec(CrossEntropy(), initialisation="symmetric")]
    distinct = list(dict.fromkeys(kinds))
    assert len({student.label() for student in distinct}) == len(distinct)
    for student in distinct:
        assert StudentSpec.from_spec(json.loads(text(student.spec()))) == student
    assert spec(OneShot()).label() == "one-shot τ=1 width=16 rate=0.05"
    assert spec(CrossEntropy(), decay=0.5).label() == "cross-entropy width=16 rate=0.05 decay=0.5"
    with pytest.raises(SimError, match=r"cannot be read"):
        StudentSpec.from_spec({"width": 3})


@pytest.mark.parametrize(
    ("message", "changed"),
    [
        ("width 0", {"width": 0}),
        ("width 3 is odd", {"width": 3, "initialisation": "symmetric"}),
        ("loss 'l1' is unknown: give one of logistic, hinge, correlation, squared", {"loss": "l1"}),
        ("target 'x' is unknown", {"target": "x"}),
        ("target 'logit' is not for the logistic loss", {"target": "logit"}),
        ("divides by temperature 0.0", {"target": "logit", "loss": "squared", "supervision": OneShot(temperature=0.0)}),
        ("divides by temperature 1e-09", {"target": "logit", "loss": "hinge", "supervision": Annealed(1.0, 1e-9)}),
        ("weight decay -1.0", {"decay": -1.0}),
        ("weight decay nan", {"decay": math.nan}),
        ("dtype 'float16'", {"dtype": "float16"}),
    ],
)  # fmt: skip
def test_specifications_that_are_refused(message: str, changed: dict[str, Any]) -> None:
    with pytest.raises(SimError) as refusal:
        dataclasses.replace(spec(CrossEntropy()), **changed)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("message", "changed"),
    [
        ("learns another task", {"task": ParityTask(20, 2)}),
        ("steps 1100 is not allowed: give a multiple of the segment, 250", {"steps": 1100}),
        ("log_every 0", {"log_every": 0}),
        ("segment 0", {"segment": 0}),
        ("batch 0", {"batch": 0}),
        ("stream -1", {"stream": -1}),
        ("too many", {"steps": 1 << 42, "segment": 1 << 20, "log_every": 1 << 20, "batch": 64}),
    ],
)
def test_courses_that_are_refused(message: str, changed: dict[str, Any]) -> None:
    with pytest.raises(SimError) as refusal:
        dataclasses.replace(COURSE, **changed)
    assert message in str(refusal.value)


def test_a_course_names_the_checkpoints_that_it_needs() -> None:
    asked = [Single(700), Progressive(500, 500), CrossEntropy()]
    assert COURSE.checkpoints(asked) == (500, 700, 1000)
    assert COURSE.checkpoints([TwoShot(600, 250)]) == (600, 3000)
    assert dataclasses.replace(COURSE, teacher=None).checkpoints([CrossEntropy()]) == ()


def test_identity_of_a_course() -> None:
    """Cadence of checkpoints changes no record, the final checkpoint does."""
    assert TEACHER.trajectory() == dataclasses.replace(TEACHER, steps=3500).trajectory()
    cadence = dataclasses.replace(COURSE, teacher=dataclasses.replace(TEACHER, checkpoint_every=1000))
    longer = dataclasses.replace(COURSE, teacher=dataclasses.replace(TEACHER, steps=3500))
    assert cadence.spec() == COURSE.spec()
    assert longer.spec() != COURSE.spec()
    assert text(COURSE.spec())
