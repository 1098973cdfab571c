import json
from abc import ABC, abstractmethod
from fractions import Fraction
from itertools import combinations
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cell import canonical_json
from sim.errors import SimError
from sim.schedule import (
    SCHEDULES,
    TEACHERS,
    CrossEntropy,
    LowDegreeCurriculum,
    OneShot,
    Progressive,
    Schedule,
    schedule_from_spec,
)
from theory.targets import EqualTeacher, LeakyTeacher, LowDegree, Parity, leaky_error

EXPONENTS = (
    None,
    Fraction(1, 2),
    Fraction(1),
    Fraction(2),
    Fraction(1, 3),
    Fraction(10, 3),
    Fraction(333, 1000),
)


class ScheduleConformance(ABC):
    """What every schedule must do; a new one inherits this and lists its members."""

    members: ClassVar[list[Schedule]]

    @abstractmethod
    def expected_target(self, schedule: Any, n: int, k: int) -> object:
        """The target of a member, written down anew."""

    def test_specs_round_trip_through_json(self) -> None:
        for schedule in self.members:
            spec = json.loads(canonical_json(schedule.spec()))
            assert spec == schedule.spec()
            again = schedule_from_spec(spec)
            assert again == schedule
            assert type(again) is type(schedule)

    def test_spec_and_label_tell_members_apart(self) -> None:
        for a, b in combinations(self.members, 2):
            assert a.spec() != b.spec()
            assert a.label() != b.label()

    def test_the_name_is_registered_and_leads_the_label(self) -> None:
        for schedule in self.members:
            assert schedule.name in SCHEDULES
            assert schedule.spec()["name"] == schedule.name
            assert schedule.label().startswith(schedule.name)

    @pytest.mark.parametrize(("n", "k"), [(9, 2), (12, 4), (7, 3)])
    def test_the_target_is_on_the_whole_support(self, n: int, k: int) -> None:
        for schedule in self.members:
            target = schedule.target(n, k)
            assert target == self.expected_target(schedule, n, k)
            assert target is None or target.k == k

    def test_an_unknown_field_value_is_refused_with_the_spec(self) -> None:
        for schedule in self.members:
            spec = schedule.spec() | {"name": "x"}
            with pytest.raises(SimError, match="'x' is unknown"):
                schedule_from_spec(spec)
            for missing in schedule.parameters():
                spec = {key: value for key, value in schedule.spec().items() if key != missing}
                if missing == "teacher_width":
                    continue  # absent means the equal teacher, which is refused by its own check
                with pytest.raises(SimError, match="cannot be read"):
                    schedule_from_spec(spec)


class TestCrossEntropy(ScheduleConformance):
    members: ClassVar = [CrossEntropy()]

    def expected_target(self, schedule: CrossEntropy, n: int, k: int) -> object:
        return Parity(k)


class TestOneShot(ScheduleConformance):
    members: ClassVar = [OneShot(c, labels) for c in EXPONENTS for labels in ("hard", "logits")]

    def expected_target(self, schedule: OneShot, n: int, k: int) -> object:
        if schedule.exponent is None:
            return Parity(k)
        return LeakyTeacher(k, leaky_error(n, schedule.exponent), (1,) * k, schedule.labels)


class TestProgressive(ScheduleConformance):
    members: ClassVar = [
        Progressive(teacher, labels, width)
        for teacher in TEACHERS
        for labels in ("hard", "logits")
        for width in ((0,) if teacher == "equal" else (2, 256))
    ]

    def expected_target(self, schedule: Progressive, n: int, k: int) -> object:
        return EqualTeacher((1,) * k, schedule.labels) if schedule.teacher == "equal" else None


class TestLowDegree(ScheduleConformance):
    members: ClassVar = [LowDegreeCurriculum(degree) for degree in (1, 2)]

    def expected_target(self, schedule: LowDegreeCurriculum, n: int, k: int) -> object:
        return LowDegree(k, schedule.degree)


def test_every_schedule_has_a_conformance_suite() -> None:
    suites = [suite.members for suite in ScheduleConformance.__subclasses__()]
    assert {member.name for members in suites for member in members} == set(SCHEDULES)
    # (A dataclass with slots leaves its class without slots behind: the names are what counts.)
    classes = {cls.__name__ for cls in Schedule.__subclasses__()}
    assert {type(member).__name__ for members in suites for member in members} == classes


def test_labels_differ_across_schedules() -> None:
    labels = [member.label() for suite in ScheduleConformance.__subclasses__() for member in suite.members]
    assert len(set(labels)) == len(labels)


@given(st.fractions(0, 16, max_denominator=1000), st.fractions(0, 16, max_denominator=1000))
def test_one_shot_labels_differ_for_different_errors(a: Fraction, b: Fraction) -> None:
    if a == b or 0 in (a, b):
        return
    assert OneShot(a).label() != OneShot(b).label()


REFUSED = [
    (lambda: OneShot(Fraction(0)), "exponent 0 is not allowed"),
    (lambda: OneShot(Fraction(-1)), "exponent -1 is not allowed"),
    (lambda: OneShot(Fraction(17)), "exponent 17 is not allowed"),
    (lambda: OneShot(Fraction(1, 1001)), "exponent 1/1001 is not allowed"),
    (lambda: Progressive("final"), "'final' is unknown"),
    (lambda: Progressive("equal", "logits", 4), "width 4 has no effect"),
    (lambda: Progressive("phase-1", "logits", 3), "width 3 is not allowed"),
    (lambda: Progressive("phase-1", "logits", 0), "width 0 is not allowed"),
    (lambda: Progressive("phase-1-projected", "logits", 4098), "width 4098 is not allowed"),
    (lambda: LowDegreeCurriculum(0), "degree 0 is not allowed"),
    (lambda: LowDegreeCurriculum(3).target(9, 2), "degree 3 is larger than k = 2"),
]


@pytest.mark.parametrize(("make", "reason"), REFUSED)
def test_a_bad_parameter_is_refused(make: Any, reason: str) -> None:
    with pytest.raises(SimError, match=reason):
        make()


@pytest.mark.parametrize("labels", ["soft", "Hard", ""])
def test_unknown_labels_are_refused(labels: str) -> None:
    for spec in (OneShot(Fraction(1)).spec(), Progressive().spec()):
        with pytest.raises(SimError, match="unknown: use one of logits, hard"):
            schedule_from_spec(spec | {"labels": labels})
