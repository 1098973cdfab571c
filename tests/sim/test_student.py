"""Training students: alone and together, taught by checkpoints, diverged, refused."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kernels
import sim.student
from kernels import Network
from sim.artifacts import Artifacts
from sim.course import Course, StudentSpec
from sim.errors import SimError
from sim.network import DTYPES, initialise
from sim.rates import RateSchedule
from sim.student import Students, discard_state, train_students
from sim.student_record import Payload, samples_to_reach
from sim.supervision import CrossEntropy
from sim.supervisions import Annealed, OneShot, Progressive, Single, TillSaturate, TwoShot
from sim.teacher import Trajectory
from tests.sim.student_cases import COURSE, MIXED, TEACHER, spec, text, train

# What a record depends on


def test_students_are_the_same_alone_and_together(
    artifacts: Artifacts, together: list[dict[int, Payload]]
) -> None:
    for (student, replicates), kind in zip(MIXED, together, strict=True):
        assert list(kind) == replicates
        for replicate in replicates:
            ((alone,),) = (k.values() for k in train(COURSE, [(student, [replicate])], artifacts))
            assert text(alone) == text(kind[replicate]), student.label()


def test_threads_and_saving_change_nothing(
    artifacts: Artifacts, together: list[dict[int, Payload]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text(train(COURSE, MIXED, artifacts, threads=3)) == text(together)
    assert text(train(COURSE, MIXED, artifacts, save_seconds=0.0)) == text(together)
    monkeypatch.setattr(sim.student, "CACHED_BYTES", 0)
    assert text(train(COURSE, MIXED, artifacts, save_seconds=math.inf)) == text(together)


def test_finished_students_are_not_trained_again(
    artifacts: Artifacts, together: list[dict[int, Payload]], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_students(COURSE, MIXED, artifacts)
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "sgd", None)
        assert text(train_students(COURSE, MIXED, artifacts)) == text(together)
    discard_state(COURSE, MIXED, artifacts)


def test_replicates_and_streams_differ(artifacts: Artifacts, together: list[dict[int, Payload]]) -> None:
    assert together[0][0]["loss"] != together[0][1]["loss"]
    (other,) = train(dataclasses.replace(COURSE, stream=1), [MIXED[0]], artifacts)
    assert other[0]["loss"] != together[0][0]["loss"]


def test_teacher_logits_are_computed_once_a_checkpoint(
    artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not once a temperature, nor once a student."""
    students: Students = [
        *((spec(OneShot(temperature=t)), [0, 1]) for t in (0.0, 1.0, 3.0)),
        (spec(TwoShot(500, 500), width=8), [0]),
        (spec(Single(500, temperature=2.0)), [0]),
        (spec(Annealed(2.0, 1.0)), [0]),
        (spec(CrossEntropy()), [0]),
    ]
    calls: list[tuple[int, int]] = []
    real = kernels.logits

    def counted(key: int, stream: int, network: Network, start: int, stop: int, **how: Any) -> torch.Tensor:
        if key == TEACHER.task.key("student data"):
            calls.append((start, stop))
        return real(key, stream, network, start, stop, **how)

    loads: list[int] = []
    load = Trajectory.load

    def watched(trajectory: Trajectory, step: int) -> Network:
        loads.append(step)
        return load(trajectory, step)

    monkeypatch.setattr(kernels, "logits", counted)
    monkeypatch.setattr(Trajectory, "load", watched)
    train(COURSE, students, artifacts)
    assert calls == [(start, start + 250) for start in range(0, 1000, 250) for _ in range(2)]
    assert loads == [500, 3000]  # kept in memory from segment to segment


# Till-saturate
def test_till_saturate_follows_its_rule(artifacts: Artifacts) -> None:
    """The switches are those that the rule gives for agreements recounted from one-segment log points."""
    rule = TillSaturate(every=500, window=250, patience=1, gain=0.03)
    course = dataclasses.replace(COURSE, steps=4000, log_every=250)
    (kind,) = train(course, [(spec(rule), [0, 1, 2])], artifacts)
    for record in kind.values():
        expected, windows, at = [[0, 500]], [], 500
        for step, agreement in zip(record["steps"], record["agreement"], strict=True):
            windows.append(agreement)
            if at < 3000 and step < 4000 and len(windows) > 1 and windows[-1] < max(windows[:-1]) + 0.03:
                at, windows = at + 500, []
                expected.append([step, at])
        assert record["checkpoints"] == expected
        assert len(expected) > 3
    assert (
        len({text(record["checkpoints"]) for record in kind.values()}) > 1
    )  # a rule of its own for each student


# Divergence
def first_infinite(student: StudentSpec, course: Course) -> int:
    """The step of the first logit that is not finite, by the kernel alone."""
    task, dtype = course.task, DTYPES[student.dtype]
    key = task.key("initialisation")
    network = initialise(student.initialisation, task.n, task.k, student.width, key, [0], student.dtype)
    for start in range(0, course.steps, course.segment):
        stop = start + course.segment
        result = kernels.sgd(
            task.key("student data"),
            course.stream,
            network,
            task.labels("student data", course.stream, start, stop).to(dtype)[None],
            torch.from_numpy(student.rate.values(start, stop, course.steps))[None],
            start=start,
            loss=student.loss,
        )
        bad = np.flatnonzero(~np.isfinite(result.logits[0].numpy()))
        if len(bad):
            return start + int(bad[0])
        network = result.network
    raise AssertionError("it did not diverge")


def test_divergence_is_recorded_with_its_step(artifacts: Artifacts) -> None:
    course = dataclasses.replace(COURSE, segment=50, log_every=100)
    steps = set()
    for peak in (20.0, 0.5, 0.2):
        student = spec(CrossEntropy(), loss="correlation", rate=RateSchedule(peak))
        ((record,),) = (kind.values() for kind in train(course, [(student, [0])], artifacts))
        step = first_infinite(student, course)
        steps.add(step // 50)
        assert (record["status"], record["diverged_at"]) == ("DIVERGED", step)
        assert record["steps"] == list(range(100, 1001, 100))
        for name in ("accuracy", "loss", "held_out"):
            known = [value is not None for value in record[name]]
            assert known == [point <= step for point in record["steps"]], (peak, name)
    assert len(steps) == 3  # early, later, and in more than one segment


def test_divergence_of_the_others_changes_nothing_and_costs_nothing(
    artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = spec(CrossEntropy(), loss="correlation", rate=RateSchedule(1e-4))
    wild = dataclasses.replace(calm, rate=RateSchedule(20.0))
    (alone,) = train(COURSE, [(calm, [0, 1])], artifacts)
    sizes: list[int] = []
    real = kernels.sgd

    def watched(key: int, stream: int, network: Network, *arguments: Any, **how: Any) -> kernels.SGDResult:
        sizes.append(len(network.c))
        return real(key, stream, network, *arguments, **how)

    monkeypatch.setattr(kernels, "sgd", watched)
    diverged, beside = train(COURSE, [(wild, [0]), (calm, [0, 1])], artifacts)
    assert (diverged[0]["status"], diverged[0]["diverged_at"] < 250) == ("DIVERGED", True)
    assert sizes == [3, 2, 2, 2]
    assert text(beside) == text(alone)


def test_parameters_that_are_not_finite_are_a_divergence_after_the_segment(
    artifacts: Artifacts, together: list[dict[int, Payload]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = kernels.sgd
    calls = 0

    def poisoned(*arguments: Any, **how: Any) -> kernels.SGDResult:
        nonlocal calls
        calls += 1
        result = real(*arguments, **how)
        if calls == 2:
            result.network.b[1, 3] = math.inf
        return result

    monkeypatch.setattr(kernels, "sgd", poisoned)
    (kind,) = train(COURSE, [MIXED[0]], artifacts)
    assert text(kind[0]) == text(together[0][0])
    assert (kind[1]["status"], kind[1]["diverged_at"]) == ("DIVERGED", 500)
    assert kind[1]["held_out"] == [None, None]


# Refusals, reading, and all of it


def test_students_that_are_refused(artifacts: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(SimError, match=r"no students"):
        train_students(COURSE, [(spec(CrossEntropy()), [])], artifacts)
    for replicates in ([0, 0], [-1]):
        with pytest.raises(SimError, match=r"replicates .* of cross-entropy width=16 .* are not allowed"):
            train_students(COURSE, [(spec(CrossEntropy()), replicates)], artifacts)
    with pytest.raises(SimError, match=r"no checkpoint at step 600: the nearest are at 500 and 1000"):
        train_students(COURSE, [(spec(Single(600)), [0])], artifacts)
    with pytest.raises(SimError, match=r"inside a segment"):
        train_students(COURSE, [(spec(TwoShot(500, 300)), [0])], artifacts)
    with pytest.raises(SimError, match=r"has no teacher"):
        train_students(dataclasses.replace(COURSE, teacher=None), [(spec(OneShot()), [0])], artifacts)
    with pytest.raises(SimError, match=r"teacher n=20 .* cannot teach, it is incomplete"):
        train_students(COURSE, [(spec(OneShot()), [0])], Artifacts(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_teacher_needs_only_the_checkpoints_that_are_asked_for(tmp_path: Path) -> None:
    teacher = dataclasses.replace(TEACHER, width=8, steps=500, checkpoint_every=250)
    course = dataclasses.replace(COURSE, teacher=teacher, steps=250, log_every=250)
    Trajectory(teacher, Artifacts(tmp_path)).densify(0, 500, 500)
    records = train_students(course, [(spec(OneShot()), [0])], Artifacts(tmp_path))
    assert records[0][0]["checkpoints"] == [[0, 500]]
    with pytest.raises(SimError, match=r"no checkpoint at step 250: the nearest are at 0 and 500"):
        train_students(course, [(spec(Single(250)), [0])], Artifacts(tmp_path))


def test_no_teacher_is_needed_for_the_parity(tmp_path: Path, together: list[dict[int, Payload]]) -> None:
    alone = train(dataclasses.replace(COURSE, teacher=None), [MIXED[0]], Artifacts(tmp_path))
    assert text(alone[0]) == text(together[0])


def test_samples_to_reach() -> None:
    record = {
        "batch": 4,
        "steps": [10, 20, 30, 40],
        "held_out": [0.5, 0.75, 0.6, None],
        "accuracy": [0.5] * 4,
    }
    assert samples_to_reach(record, [0.0, 0.5, 0.6, 0.75, 0.76]) == [40, 40, 80, 80, None]
    assert samples_to_reach(record, [0.6], column="accuracy") == [None]


def test_students_learn_from_their_teacher(artifacts: Artifacts) -> None:
    """End to end: n = 20, k = 3, a teacher of 100 neurons; progress is told after each segment, and reaches 1."""
    kinds = (OneShot(), Progressive(500, 250), CrossEntropy())
    students: Students = [(spec(s, width=64, rate=RateSchedule(0.1)), [0, 1]) for s in kinds]
    course = dataclasses.replace(COURSE, steps=5000, log_every=500)
    told: list[tuple[str, float]] = []
    records = train(course, students, artifacts, progress=lambda line, share: told.append((line, share)))
    assert told[-1] == ("students: 5,000 of 5,000 steps", 1.0)
    assert [share for _, share in told] == [i / 20 for i in range(1, 21)]
    for kind in records:
        for record in kind.values():
            assert record["held_out"][0] < 0.75
            assert min(record[name][-1] for name in ("held_out", "accuracy")) > 0.95
            (samples,) = samples_to_reach(record, [0.95])
            assert samples is not None
            assert 1000 <= samples <= 4500
            assert len(text(record)) < 2000
    assert [list(kind[0]["checkpoints"]) for kind in records] == [
        [[0, 3000]],
        [[250 * i, 500 * (i + 1)] for i in range(6)],
        [],
    ]
