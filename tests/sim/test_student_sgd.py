"""Records of students against plain SGD, a step at a time, from the definitions."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

import kernels
from kernels import Network
from sim.artifacts import Artifacts
from sim.course import LOSSES, Course, StudentSpec
from sim.network import initialise, output_rate
from sim.student_record import COLUMNS
from sim.teacher import Trajectory
from tests.sim.student_cases import CASES, COURSE, TEACHER, train


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Where a trained teacher is."""
    kept = Artifacts(tmp_path_factory.mktemp("artifacts"))
    Trajectory(TEACHER, kept).ensure()
    return kept


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
