"""Cells of the online protocol: identity, round trips, refusals; and what is grouped."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cell import Cell, FirstStepCell, canonical_json
from sim.course import StudentSpec
from sim.errors import SimError
from sim.online.cell import VERSION, StudentCell, TeacherCell, segment_of
from sim.protocol import online as module
from sim.protocol.base import Means, Part
from sim.protocol.online import Online
from sim.protocol.registry import PROTOCOLS, protocol_of
from sim.rates import RateSchedule
from sim.schedule import CrossEntropy as FirstStepCrossEntropy
from sim.supervision import CrossEntropy, Supervision
from sim.supervisions import Annealed, OneShot, Progressive, Single, TillSaturate, TwoShot
from sim.teacher_spec import TeacherSpec

RATE = RateSchedule(0.1)
TEACHER = TeacherSpec(9, 2, 16, RATE, 800, 800, segment=100)
PROTOCOL = f"online/{VERSION}"
PARITY = StudentCell(PROTOCOL, 9, 2, 0, None, StudentSpec(8, RATE, CrossEntropy()), 600, 1, 100, 200)
TAUGHT = dataclasses.replace(PARITY, teacher=TEACHER, student=StudentSpec(8, RATE, OneShot()))
TAUGHT_BY = TeacherCell.of(PROTOCOL, TEACHER, 200, "cpu")
CELLS = (PARITY, TAUGHT, TAUGHT_BY)
IDS = ["b73b10c70f996b9c", "666a0ce22b28708d", "d1b241066cfcdd43"]


def test_identities_are_what_they_were() -> None:
    # An identity that changes orphans every store; if that is wanted, the protocol's version must rise.
    assert [cell.id[:16] for cell in CELLS] == IDS
    first = FirstStepCell("first-step/1", 50, 4, 24, FirstStepCrossEntropy(), 1 << 20, 2, 0)
    assert first.id == "9e24a7c130495c15b69378a76aff2a7054731c566bb772b564306bb6003d0b3a"


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.series)
def test_specs_round_trip_through_json(cell: Cell) -> None:
    again = Cell.from_spec(json.loads(canonical_json(cell.spec())))
    assert again == cell
    assert type(again) is type(cell)
    assert again.id == cell.id
    assert again.label() == cell.label()


SUPERVISIONS: list[Supervision] = [
    OneShot(temperature=0.0),
    OneShot(truth=0.5),
    Single(300),
    TwoShot(300, 200),
    Progressive(200),
    Progressive(200, 100, 400, 600),
    TillSaturate(200, window=200),
    Annealed(4.0, 0.5),
]


@pytest.mark.parametrize("supervision", SUPERVISIONS, ids=lambda s: s.label())
def test_every_supervision_round_trips(supervision: Supervision) -> None:
    cell = dataclasses.replace(TAUGHT, student=StudentSpec(8, RATE, supervision))
    assert Cell.from_spec(json.loads(canonical_json(cell.spec()))) == cell
    assert supervision.label() in cell.label()


STUDENT_CHANGES: dict[str, Any] = {
    "protocol": "online/3",
    "student": StudentSpec(10, RATE, OneShot()),
    "teacher": dataclasses.replace(TEACHER, steps=900),
    "steps": 700,
    "batch": 2,
    "segment": 50,
    "log_every": 300,
    "device": "cuda",
}


def test_every_field_but_those_of_the_task_has_a_change_in_the_table() -> None:
    # The task is also in the teacher: see below.
    assert {*STUDENT_CHANGES, "n", "k", "seed"} == {field.name for field in dataclasses.fields(StudentCell)}


@pytest.mark.parametrize("field", STUDENT_CHANGES)
def test_the_identity_changes_with_every_field(field: str) -> None:
    assert dataclasses.replace(TAUGHT, **{field: STUDENT_CHANGES[field]}).id != TAUGHT.id


@pytest.mark.parametrize(("field", "value"), [("n", 10), ("k", 3), ("seed", 1)])
def test_the_identity_changes_with_the_task(field: str, value: int) -> None:
    moved = dataclasses.replace(TEACHER, **{field: value})  # type: ignore[arg-type]
    assert dataclasses.replace(TAUGHT, teacher=moved, **{field: value}).id != TAUGHT.id  # type: ignore[arg-type]
    assert dataclasses.replace(PARITY, **{field: value}).id != PARITY.id  # type: ignore[arg-type]
    assert TeacherCell.of(PROTOCOL, moved, 200, "cpu").id != TAUGHT_BY.id
    with pytest.raises(SimError, match="learns another task"):
        dataclasses.replace(TAUGHT, **{field: value})  # type: ignore[arg-type]


def test_which_checkpoints_are_kept_is_nothing_to_a_cell() -> None:
    kept = dataclasses.replace(TEACHER, checkpoint_every=100)
    assert dataclasses.replace(TAUGHT, teacher=kept).id == TAUGHT.id
    assert dataclasses.replace(TAUGHT_BY, teacher=kept).id == TAUGHT_BY.id


def test_a_student_of_the_parity_does_not_depend_on_the_teacher_beside_it() -> None:
    assert "width=16" not in canonical_json(PARITY.spec())
    assert PARITY.spec()["teacher"] is None


def test_a_students_teacher_is_the_cell_that_a_grid_has_of_it() -> None:
    assert TAUGHT.teacher_cell() == TAUGHT_BY
    assert PARITY.teacher_cell() is None


REFUSED: list[tuple[StudentCell | TeacherCell, dict[str, Any], str]] = [
    (TAUGHT, {"teacher": None}, "with no teacher"),
    (PARITY, {"teacher": TEACHER}, "with a teacher"),
    (TAUGHT, {"steps": 650}, "steps 650"),
    (TAUGHT, {"log_every": 150}, "log_every 150"),
    (TAUGHT, {"batch": 0}, "batch 0"),
    (TAUGHT, {"device": "tpu"}, "device 'tpu'"),
    (TAUGHT, {"student": StudentSpec(8, RATE, Single(900))}, "no checkpoint at step 900"),
    (TAUGHT, {"student": StudentSpec(8, RATE, Single(150))}, "no checkpoint at step 150"),
    (TAUGHT, {"student": StudentSpec(8, RATE, TwoShot(300, 250))}, "inside a segment"),
    (TAUGHT_BY, {"log_every": 150}, "log_every 150"),
    (TAUGHT_BY, {"log_every": 0}, "log_every 0"),
    (TAUGHT_BY, {"device": "tpu"}, "device 'tpu'"),
]


@pytest.mark.parametrize(("cell", "change", "reason"), REFUSED)
def test_a_cell_that_cannot_be_run_is_refused(
    cell: StudentCell | TeacherCell, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SimError, match=reason) as caught:
        dataclasses.replace(cell, **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"role": "pupil"},
        {"teacher": 3},
        {"teacher": {"n": 9}},
        {"student": None},
        {"extra": 1},
        {"steps": "many"},
    ],
)
def test_what_describes_no_cell_is_refused_in_one_sentence(change: dict[str, Any]) -> None:
    with pytest.raises(SimError) as caught:
        Cell.from_spec(TAUGHT.spec() | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", ["offline/1", "", "online/9"])
def test_an_unknown_protocol_is_refused(protocol: str) -> None:
    with pytest.raises(SimError, match=f"this version runs first-step/1, {PROTOCOL}"):
        protocol_of(Cell.from_spec(TAUGHT.spec() | {"protocol": protocol}))


def test_cells_are_grouped_by_teacher_or_by_course() -> None:
    online = PROTOCOLS["online"]
    assert isinstance(online, Online)
    other = dataclasses.replace(TEACHER, rate=RateSchedule(0.2))
    assert online.group(TAUGHT) == online.group(TAUGHT_BY)
    assert online.group(TAUGHT) == online.group(dataclasses.replace(TAUGHT, steps=300, batch=4))
    assert online.group(TAUGHT) != online.group(dataclasses.replace(TAUGHT, teacher=other))
    assert online.group(TAUGHT) != online.group(dataclasses.replace(TAUGHT, device="cuda"))
    assert online.group(PARITY) != online.group(TAUGHT)
    assert online.group(PARITY) == online.group(
        dataclasses.replace(PARITY, student=StudentSpec(30, RATE, CrossEntropy()))
    )
    assert online.group(PARITY) != online.group(dataclasses.replace(PARITY, steps=300))


def test_teacher_and_students_are_trained_on_the_cells_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as it is passed on; what is passed stands still here, as there need be no such device."""
    devices: list[str] = []

    def stopped(*arguments: Any, device: str, **more: Any) -> Any:
        devices.append(device)
        raise InterruptedError

    monkeypatch.setattr(module, "Trajectory", lambda teacher, artifacts, device: stopped(device=device))
    monkeypatch.setattr(module, "train_students", stopped)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    for cell in (TAUGHT_BY, TAUGHT, PARITY):
        for device in ("cpu", "cuda"):
            part = Part(dataclasses.replace(cell, device=device), (0,))
            with pytest.raises(InterruptedError):
                Online().run([part], Means(), lambda share: None)
    assert devices == ["cpu", "cuda"] * 3


@given(st.integers(1, 200_000))
def test_a_segment_divides_the_log_points_and_is_not_tiny(log_every: int) -> None:
    try:
        segment = segment_of(log_every)
    except SimError:
        assert log_every > 10_000
        assert log_every % 10_000
        return
    assert log_every % segment == 0
    assert segment == min(log_every, 10_000)
