"""Training students: against step-by-step SGD, alone and together, killed and resumed, diverged, refused."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kernels
import sim.student
from kernels import Network
from sim.artifacts import ArtifactError, Artifacts
from sim.errors import SimError
from sim.network import DTYPES, initialise, output_rate
from sim.parity import ParityTask
from sim.rates import RateSchedule
from sim.student import (
    COLUMNS,
    LOSSES,
    Course,
    Payload,
    Students,
    StudentSpec,
    discard_state,
    samples_to_reach,
    train_students,
)
from sim.supervision import (
    Annealed,
    CrossEntropy,
    OneShot,
    Progressive,
    Single,
    Supervision,
    TillSaturate,
    TwoShot,
)
from sim.teacher import TeacherSpec, Trajectory

RATE = RateSchedule(0.05)
TEACHER = TeacherSpec(20, 3, 100, RATE, 3000, 500, segment=250, dtype="float64")
"""Learns its parity around step 1500."""

COURSE = Course(TEACHER.task, TEACHER, 1000, segment=250, log_every=500)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Where a trained teacher is."""
    kept = Artifacts(tmp_path_factory.mktemp("artifacts"))
    Trajectory(TEACHER, kept).ensure()
    return kept


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


# Against plain SGD


def forward(network: Sequence[np.ndarray], x: np.ndarray) -> tuple[np.ndarray, float]:
    W, b, a, c = network
    h = W @ x + b
    return h, float(a @ np.maximum(h, 0) + c)


def row(network: Network, r: int = 0) -> list[np.ndarray]:
    return [tensor[r].numpy().astype(np.float64).copy() for tensor in network]


def labels(y: float, f: float | None, temperature: float, truth: float, kind: str) -> float:
    """One sample's target from the definitions."""
    if f is None:
        taught, score = float(y > 0), y
    else:
        taught = float(f >= 0) if temperature == 0 else 1 / (1 + math.exp(-f / temperature))
        score = f / temperature if temperature else 0.0
    if kind == "logit":
        return truth * y + (1 - truth) * score
    q = truth * float(y > 0) + (1 - truth) * taught
    return q if kind == "probability" else 2 * q - 1


SLOPES: dict[str, Callable[[float, float], float]] = {
    "logistic": lambda z, y: 1 / (1 + math.exp(-z)) - y,
    "hinge": lambda z, y: -y if y * z < 1 else 0.0,
    "correlation": lambda z, y: -y,
    "squared": lambda z, y: z - y,
}
VALUES: dict[str, Callable[[float, float], float]] = {
    "logistic": lambda z, y: math.log(1 + math.exp(z)) - y * z,
    "hinge": lambda z, y: max(0.0, 1 - y * z),
    "correlation": lambda z, y: -y * z,
    "squared": lambda z, y: (z - y) ** 2 / 2,
}


def by_hand(
    course: Course,
    student: StudentSpec,
    replicate: int,
    source: Callable[[int], tuple[int | None, float, float]],
    artifacts: Artifacts,
) -> dict[str, list[Any]]:
    """The curve of one float64 student, a step at a time; source(step) is (checkpoint, τ, α)."""
    task, kind = course.task, "probability" if student.loss == "logistic" else student.target
    drawn = initialise(student.initialisation, task.n, task.k, student.width, task.key("initialisation"),
                       [replicate], student.dtype)  # fmt: skip
    W, b, a, c = row(drawn)
    assert course.teacher is not None
    trajectory = Trajectory(course.teacher, artifacts)
    inputs = kernels.draw_inputs(
        task.key("student data"), course.stream, task.n, 0, course.steps * course.batch
    )
    held = kernels.draw_inputs(task.key("evaluation"), 0, task.n, 0, 4096).numpy()
    curve: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    correct = agreed = seen = 0
    total = 0.0
    teachers: dict[int, list[np.ndarray]] = {}
    for t in range(course.steps):
        eta, out = float(student.rate.values(t, t + 1, course.steps)[0]), output_rate(student.initialisation)
        checkpoint, temperature, truth = source(t)
        grads = [np.zeros_like(v) for v in (W, b, a)] + [0.0]
        for x in inputs[t * course.batch : (t + 1) * course.batch].numpy().astype(np.float64):
            y = float(np.prod(x[list(task.support)]))
            f = None
            if checkpoint is not None:
                if checkpoint not in teachers:
                    teachers[checkpoint] = row(trajectory.load(checkpoint))
                f = forward(teachers[checkpoint], x)[1]
                agreed += int((forward((W, b, a, c), x)[1] >= 0) == (f >= 0))
            target = labels(y, f, temperature, truth, kind)
            h, z = forward((W, b, a, c), x)
            seen, correct, total = (
                seen + 1,
                correct + int((z > 0) == (y > 0)),
                total + VALUES[student.loss](z, target),
            )
            slope = SLOPES[student.loss](z, target)
            back = slope * a * (h > 0)
            for grad, part in zip(
                grads, (np.outer(back, x), back, slope * np.maximum(h, 0), slope), strict=True
            ):
                grad += part
            grads[3] += slope
        keep = 1 - eta * student.decay
        W, b = keep * W - eta / course.batch * grads[0], keep * b - eta / course.batch * grads[1]
        a, c = keep * a - eta * out / course.batch * grads[2], keep * c - eta * out / course.batch * grads[3]
        if (t + 1) % course.log_every == 0 or t + 1 == course.steps:
            logits = np.maximum(held @ W.T + b, 0) @ a + c
            parity = held[:, list(task.support)].prod(axis=1)
            curve["accuracy"].append(correct / seen)
            curve["agreement"].append(None if checkpoint is None else agreed / seen)
            curve["loss"].append(total / seen)
            curve["held_out"].append(np.count_nonzero((logits > 0) == (parity > 0)) / 4096)
            correct = agreed = seen = 0
            total = 0.0
    return curve


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


def test_records_are_those_of_sgd_step_by_step(artifacts: Artifacts) -> None:
    """All at once, float64, batch 1: every supervision that has no memory, every loss, rates and decay."""
    course = dataclasses.replace(COURSE, steps=750, stream=3)
    students = [(dataclasses.replace(student, dtype="float64"), [1]) for student, _ in CASES]
    assert {s.loss for s, _ in students} == set(LOSSES)
    records = train(course, students, artifacts)
    for (student, _), (_, source), kind in zip(students, CASES, records, strict=True):
        (record,) = kind.values()
        expected = by_hand(course, student, 1, source, artifacts)
        assert record["steps"] == [500, 750]
        # Where f ≡ 0 at first, the sign of the first logit is a matter of rounding.
        slack = 1.5 / 500 if student.initialisation == "symmetric" else 0
        for name in ("accuracy", "agreement", "held_out"):
            for ours, theirs in zip(record[name], expected[name], strict=True):
                assert ours == theirs or abs(ours - theirs) <= slack, (student.label(), name)
        assert record["loss"] == pytest.approx(expected["loss"], rel=1e-9), student.label()
        assert (record["status"], record["diverged_at"], record["batch"]) == ("OK", None, 1)


def test_records_at_a_larger_batch(artifacts: Artifacts) -> None:
    course = dataclasses.replace(COURSE, steps=200, segment=50, log_every=100, batch=3)
    student, source = dataclasses.replace(CASES[1][0], dtype="float64"), CASES[1][1]
    ((record,),) = (kind.values() for kind in train(course, [(student, [0])], artifacts))
    expected = by_hand(course, student, 0, source, artifacts)
    assert {name: record[name] for name in COLUMNS if name != "loss"} == {
        name: values for name, values in expected.items() if name != "loss"
    }
    assert record["loss"] == pytest.approx(expected["loss"], rel=1e-9)


# What a record depends on

MIXED: list[tuple[StudentSpec, list[int]]] = [
    (spec(CrossEntropy()), [0, 1]),
    (spec(OneShot(temperature=0.0)), [0]),
    (spec(OneShot(temperature=3.0), decay=0.01), [2]),
    (spec(Progressive(500, 250), rate=RateSchedule(0.02, "cosine")), [0, 3]),
    (spec(TillSaturate(every=1000, window=250, patience=1, gain=0.5)), [0]),  # moves on at step 500
    (spec(Annealed(4.0, 0.5), width=7), [0]),
    (spec(CrossEntropy(), loss="correlation", rate=RateSchedule(20.0)), [0]),  # diverges at once
]


@pytest.fixture(scope="module")
def together(artifacts: Artifacts) -> list[dict[int, Payload]]:
    """Records of `MIXED`, trained in one go."""
    return train(COURSE, MIXED, artifacts)


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


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device here: the reference's path is not run on one"
)
def test_a_cuda_device_gives_the_same_up_to_rounding(artifacts: Artifacts) -> None:
    students = [(dataclasses.replace(student, dtype="float64"), [0, 1]) for student, _ in CASES[:6]]
    course = dataclasses.replace(COURSE, steps=500)
    ours, theirs = train(course, students, artifacts, device="cuda"), train(course, students, artifacts)
    for a, b in zip(ours, theirs, strict=True):
        for replicate, record in a.items():
            assert record["accuracy"] == b[replicate]["accuracy"]
            assert record["held_out"] == b[replicate]["held_out"]
            assert record["loss"] == pytest.approx(b[replicate]["loss"], rel=1e-9)


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


# Killed and resumed

KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
import kernels, sim.artifacts
from sim.artifacts import Artifacts
from tests.sim.test_student import COURSE, MIXED
from sim.student import train_students

torch.set_num_threads(1)
artifacts = Artifacts(Path(sys.argv[1]))

def die_at(module, name, call, after):
    real, left = getattr(module, name), [call]
    def wrapped(*arguments, **how):
        left[0] -= 1
        if left[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        value = real(*arguments, **how)
        if left[0] == 0 and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return value
    setattr(module, name, wrapped)

def die_after_segment(text, share):
    if share >= 0.75:
        os.kill(os.getpid(), signal.SIGKILL)

files = []
for how in (
    (kernels, "sgd", 3, True),           # before anything is saved
    (os, "replace", 1, False),           # the first state is written under its temporary name only
    (os, "replace", 2, True),            # the second is in place
    (kernels, "sgd", 2, False),          # in the middle of the third segment
    (os, "fsync", 1, False),
    None,                                # after the third
):
    child = os.fork()
    if child == 0:
        if how is not None:
            die_at(*how)
        train_students(COURSE, MIXED, artifacts, save_seconds=0.0, progress=None if how else die_after_segment)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (how, status)
    files.append(len(list((artifacts.root / "students").rglob("state.safetensors"))))
assert files == [0, 0, 1, 1, 1, 1], files
print(json.dumps(train_students(COURSE, MIXED, artifacts), allow_nan=False))
"""


def test_kill_and_resume_give_the_same_records_and_the_same_state(
    artifacts: Artifacts, together: list[dict[int, Payload]]
) -> None:
    """Ended by signal 9 in the middle of segments and of saving, again and again."""
    train_students(COURSE, MIXED, artifacts)
    (state,) = (artifacts.root / "students").rglob("state.safetensors")
    uninterrupted = state.read_bytes()
    discard_state(COURSE, MIXED, artifacts)
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(artifacts.root)],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == text(together)
    assert state.read_bytes() == uninterrupted
    assert not list((artifacts.root / "students").rglob("*.tmp"))
    discard_state(COURSE, MIXED, artifacts)


def test_a_damaged_state_is_refused_in_a_sentence(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    students: Students = [(spec(CrossEntropy(), width=4), [0])]
    course = Course(TEACHER.task, None, 250, segment=250, log_every=250)
    train_students(course, students, artifacts)
    (state,) = tmp_path.rglob("state.safetensors")
    data = state.read_bytes()
    for damaged in (data[:-1], data[:-1] + bytes([data[-1] ^ 1])):
        state.write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"state.safetensors is damaged"):
            train_students(course, students, artifacts)
    discard_state(course, students, artifacts)
    assert not state.exists()
    train_students(course, students, artifacts)
    assert state.read_bytes() == data


# Identity, refusals, reading


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
